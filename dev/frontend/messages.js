/** What users read: one sentence for each outcome, status and event, without codes and IDs. */

/** Returns what the return page shows, or undefined if the user does not return from QuickBooks. */
export function outcomeMessage(query) {
  const connected = query.get('connected');
  if (connected === 'true') return { tone: 'good', text: 'QuickBooks is connected.' };
  if (connected === 'pending') return { tone: 'good', text: 'Confirming the connection…' };
  if (connected === 'false') return errorMessage(query.get('error'), query.get('request_id'));
  if (query.get('disconnected') === 'true') {
    return { tone: 'good', text: 'You disconnected Octup inside QuickBooks. The status below follows in a moment.' };
  }
  return undefined;
}

/** Returns what is shown for an error's code. Support finds an unexpected one in the log by its reference. */
export function errorMessage(code, requestId) {
  const text = ERRORS[code];
  if (text) return { tone: 'bad', text };
  const reference = requestId ? ` Reference: ${requestId}` : '';
  return { tone: 'bad', text: `${UNEXPECTED}${reference}` };
}

const UNEXPECTED = 'QuickBooks was not connected. Please try again. If the problem persists, contact support.';
const UNAVAILABLE = 'QuickBooks is not available at the moment. Please try again in a few minutes.';
const AGAIN = 'This sign-in has expired, or was started in another browser. Please connect again.';

const ERRORS = {
  access_denied: 'You cancelled. Nothing was changed.',
  temporarily_unavailable: UNAVAILABLE,
  provider_unavailable: UNAVAILABLE,
  service_unavailable: 'The connection may be completed in a moment. Please check the status before you try again.',
  invalid_request: 'Please start here: choose Connect.',
  invalid_state: AGAIN,
  authorization_code_rejected: AGAIN,
  company_mismatch: 'You chose another company, or may not connect this one. Please connect again.',
  invalid_confirmation: 'This connection can no longer be confirmed. Please connect again.',
  unauthorized: 'This link has expired or was already used. Please ask for a new one.',
  forbidden: 'You may not connect this organization.',
  rate_limited: 'Too many attempts. Please wait a minute.',
};

/** Returns the heading, the explanation and the possible actions of a status. */
export function statusMessage(status) {
  const company = status.company_name ?? 'your company';
  if (status.connected) {
    return { state: 'connected', title: `Connected to ${company}`, status, actions: ['disconnect'] };
  }
  if (status.needs_reauthorization) {
    const note = `${LOSSES[status.reason] ?? 'The connection was lost.'} Please reconnect ${company}.`;
    return { state: 'lost', title: 'Reconnection needed', note, status, actions: ['reconnect', 'disconnect'] };
  }
  const note = 'Connect a QuickBooks company to let Octup read and update its books.';
  return { state: 'disconnected', title: 'Not connected', note, actions: ['connect'] };
}

const LOSSES = {
  authorization_revoked:
    'QuickBooks no longer accepts this connection. It may have been disconnected inside QuickBooks.',
  rotation_lost: 'The last token refresh was interrupted, and the connection could not be restored.',
  refresh_token_expired: 'The authorization has expired.',
};

/** Returns an event's line in the history. @param company the company's name, if it is known */
export function eventMessage({ type, reason, actor }, company) {
  const [tone, what] = EVENTS[type] ?? ['', type];
  const who = ACTORS[actor] ?? `by ${actor}`;
  return { tone, what, why: REASONS[reason] ?? '', who: company ? `${who} · ${company}` : who };
}

const EVENTS = {
  connected: ['good', 'Connected'],
  reconnected: ['good', 'Connected again'],
  imported: ['good', 'Connection imported'],
  disconnected: ['', 'Disconnected'],
  lost: ['bad', 'Connection lost'],
  recovered: ['good', 'Connection restored'],
  expiring: ['bad', 'The authorization ends soon: please connect again'],
  refresh_failing: ['bad', 'QuickBooks cannot be reached'],
  refresh_recovered: ['good', 'QuickBooks can be reached again'],
  company_mismatch: ['bad', 'Not connected: the sign-in was for another company'],
  consent_refused: ['', 'Not connected: the user declined'],
  connect_failed: ['bad', 'Not connected: the sign-in failed'],
  confirmation_expired: ['', 'Not connected: it was not confirmed in time'],
};

const REASONS = {
  ...LOSSES,
  ...ERRORS,
  access_denied: 'The user cancelled on the QuickBooks page.',
  temporarily_unavailable: 'QuickBooks was not available.',
  server_error: 'QuickBooks reported an error.',
  within_30_days: 'Within 30 days.',
  within_7_days: 'Within 7 days.',
};

const ACTORS = { browser: 'in a browser', service: 'by the service itself', operator: 'by an operator' };
