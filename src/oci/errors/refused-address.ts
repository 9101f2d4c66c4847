/** What a connection ends with before it is made, to an address that the request may not lead to. */
export const OUTBOUND_REFUSED = 'OUTBOUND_REFUSED'
