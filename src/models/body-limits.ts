/** The largest body of a gateway call. */
export const MAX_GATEWAY_BODY_BYTES = 100 * 1024 * 1024;

/** The largest body of any other request. */
export const MAX_BODY_BYTES = 16 * 1024;
