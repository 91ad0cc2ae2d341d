/** The Accounting Integration Service, for the organization of the signed-in user. */
export class QuickBooks {
  /**
   * @param service the service's public address
   * @param getToken returns the user's access token: the one that your sign-in issued, not expired
   */
  constructor({ service, organization, getToken }) {
    Object.assign(this, { service, organization, getToken });
  }

  /**
   * Sends the user to QuickBooks, in this tab or in a popup. To open one, call `openPopup` in the click's handler.
   * @param returnUrl the page that the user returns to, on an origin of FRONTEND_URL
   * @param companyId the only company that may be connected, to reconnect a lost one
   */
  async connect({ returnUrl, companyId, popup }) {
    try {
      const { connect_url } = await this.call('POST', 'connect', { return_url: returnUrl, realm_id: companyId });
      if (popup) popup.location.replace(connect_url);
      else location.assign(connect_url);
    } catch (error) {
      popup?.close();
      throw error;
    }
  }

  /** Completes a connection that awaits confirmation. */
  confirm(confirmation) {
    return this.call('POST', 'confirm', { confirmation });
  }

  status() {
    return this.call('GET', 'status');
  }

  disconnect() {
    return this.call('POST', 'disconnect');
  }

  events(limit) {
    return this.call('GET', 'events', undefined, `?limit=${limit}`);
  }

  /** Throws the service's problem: its `code` is for programs, `retryAfterSeconds` is set if trying again helps. */
  async call(method, action, body, query = '') {
    const url = `${this.service}/api/v1/oauth/quickbooks/${action}/${this.organization}${query}`;
    const response = await fetch(url, {
      method,
      headers: {
        Authorization: `Bearer ${await this.getToken()}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const result = await response.json();
    if (response.ok) return result;
    const retryAfter = response.headers.get('Retry-After');
    throw Object.assign(new Error(result.detail), result, retryAfter && { retryAfterSeconds: Number(retryAfter) });
  }
}

/** Opens an empty popup. Returns null if the browser blocks it: connect in this tab then. */
export function openPopup() {
  return window.open('', 'quickbooks', 'popup,width=640,height=760');
}

/** Calls `handle` with the query of the return page, whenever a popup has reached it. */
export function onPopupReturn(handle) {
  new BroadcastChannel('quickbooks').onmessage = ({ data }) => handle(new URLSearchParams(data));
}

/** In the popup's return page: passes the outcome on and closes the popup. It may have lost its `opener` on the way. */
export function returnFromPopup() {
  new BroadcastChannel('quickbooks').postMessage(location.search);
  window.close();
}
