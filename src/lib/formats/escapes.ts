/** Whether a "%" in the URL's user or password begins no escape, which clients find out by a URIError of their own. */
export function unescapable({ username, password }: URL): boolean {
  try {
    decodeURIComponent(username)
    decodeURIComponent(password)
    return false
  } catch {
    return true
  }
}
