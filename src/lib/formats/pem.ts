const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'

/** The certificates of a text, each as what stands between its lines, as one word; whether they are any is not looked at. Source: RFC 7468. */
export function pemCertificates(text: string): string[] {
  const parts: string[] = []
  for (let from = text.indexOf(BEGIN); from !== -1; ) {
    const end = text.indexOf(END, from)
    if (end === -1) break
    parts.push(text.slice(from + BEGIN.length, end).replace(/\s/g, ''))
    from = text.indexOf(BEGIN, end)
  }
  return parts
}

/** The PEM of a certificate's DER in base64. */
export function toPem(base64: string): string {
  return `${BEGIN}\n${base64.match(/.{1,64}/g)?.join('\n')}\n${END}\n`
}
