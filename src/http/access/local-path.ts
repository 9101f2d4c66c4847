/** As a cookie has room for, with what stands beside it. */
const MAX_LENGTH = 1000

/**
 * Whether an address leads to a path of layerd and nowhere else, however browsers read it: no other host (`//host`, `/\host`, what loses
 * a line break on the way), no scheme. Not to where it would be left again at once. Source: WHATWG URL, 4.4.
 */
export function isLocalPath(text: string): boolean {
  if (text.length > MAX_LENGTH || !/^\/[\x21-\x5b\x5d-\x7e]*$/.test(text)) return false
  const url = new URL(text, 'http://layerd.invalid')
  return url.origin === 'http://layerd.invalid' && !/^\/v1\/session\//i.test(url.pathname)
}
