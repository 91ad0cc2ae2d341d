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

  /** Completes a connection that awaits confirmation, unless it is complete already. */
  async confirm(confirmation) {
    try {
      return await this.call('POST', 'confirm', { confirmation });
    } catch (error) {
      const status = await this.status();
      if (status.connected) return status;
      throw error;
    }
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

const POPUP = 'quickbooks';
let awaitsPopup = false;

/** Opens an empty popup. Returns null if the browser blocks it: connect in this tab then. */
export function openPopup() {
  const popup = window.open('', POPUP, 'popup,width=640,height=760');
  awaitsPopup = popup !== null;
  return popup;
}

/** Calls `handle` with the query of the return page, when the popup that this tab opened has reached it. */
export function onPopupReturn(handle) {
  new BroadcastChannel('quickbooks').onmessage = ({ data }) => {
    if (awaitsPopup) handle(new URLSearchParams(data)); // otherwise another tab's
  };
}

/** True in a popup that landed on the frontend's default page, since its link or state was not valid. */
export function isPopup() {
  return window.name === POPUP;
}

/** In the popup's return page: passes the outcome on and closes the popup. It may have lost its `opener` on the way. */
export function returnFromPopup() {
  new BroadcastChannel('quickbooks').postMessage(location.search);
  window.close();
}
