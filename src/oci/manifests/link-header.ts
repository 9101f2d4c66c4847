/**
 * The target of a Link header's `rel="next"`, by one look at each character. A registry's addresses may hold commas and
 * semicolons, so what stands in angle brackets is taken as it is. Source: RFC 8288 section 3.
 */
export function nextLink(header: string): string | undefined {
  for (let at = 0; ; ) {
    const open = header.indexOf('<', at)
    const close = open === -1 ? -1 : header.indexOf('>', open)
    if (close === -1) return undefined
    const next = header.indexOf('<', close)
    const parameters = header.slice(close + 1, next === -1 ? header.length : next)
    if (parameters.split(/[;,]/).some(isNext)) return header.slice(open + 1, close)
    at = close + 1
  }
}

function isNext(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=')
  const relations = value.replaceAll('"', ' ').trim().toLowerCase().split(' ')
  return name.trim().toLowerCase() === 'rel' && relations.includes('next')
}
