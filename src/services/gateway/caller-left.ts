/** The error of a call whose caller closed the connection: nothing is reported to anyone. */
export function callerLeft(): Error {
  return new DOMException('the caller has left', 'AbortError');
}
