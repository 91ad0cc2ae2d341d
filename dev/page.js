const POLL_MS = 2000;
const TIMEOUT_MS = 10_000;
const EVENTS_SHOWN = 10;
const STORAGE_KEY = 'octup.organization';
const OUTCOME_PARAMETERS = [
  'connected',
  'disconnected',
  'system',
  'error',
  'confirmation',
  'request_id',
  'organization',
];

const api = `${document.documentElement.dataset.service}/api/v1/oauth/quickbooks`;
const element = (id) => document.getElementById(id);
const actions = ['connect', 'reconnect', 'disconnect'].map(element);

let organization = '';
let polling = new AbortController();

function start() {
  const query = new URLSearchParams(location.search);
  element('organization').value = query.get('organization') ?? localStorage.getItem(STORAGE_KEY) ?? 'acme';
  element('organization').addEventListener('change', chooseOrganization);
  element('organization-form').addEventListener('submit', (event) => {
    event.preventDefault();
    chooseOrganization();
  });
  element('disconnect').addEventListener('click', disconnect);
  element('dismiss').addEventListener('click', () => {
    element('banner').hidden = true;
  });

  announceOutcome(query);
  for (const name of OUTCOME_PARAMETERS) query.delete(name);
  history.replaceState(null, '', `${location.pathname}${query.size ? `?${query}` : ''}`);
  chooseOrganization();
}

function chooseOrganization() {
  const input = element('organization');
  const valid = /^[A-Za-z0-9_-]{1,36}$/.test(input.value);
  input.setAttribute('aria-invalid', String(!valid));
  element('organization-problem').hidden = valid;
  polling.abort();
  if (!valid) return show({ state: 'checking', title: 'Enter an organization' });
  organization = input.value;
  localStorage.setItem(STORAGE_KEY, organization);
  element('connect').href = `${api}/connect/${organization}`;
  element('reconnect').href = `${api}/connect/${organization}`;
  show({ state: 'checking', title: 'Checking…' });
  void poll();
}

/** Shows the status and the history now and then every two seconds, until it is called again. */
async function poll() {
  polling.abort(); // a response on its way may be older than the user's last action
  polling = new AbortController();
  const { signal } = polling;
  while (!signal.aborted) {
    const view = await currentView(signal);
    if (!signal.aborted) show(view);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function currentView(signal) {
  try {
    const [status, events] = await Promise.all([
      call('GET', `status/${organization}`, signal),
      call('GET', `events/${organization}?limit=${EVENTS_SHOWN}`, signal),
    ]);
    const view = status.ok ? viewOf(status.body) : rejection(status.body);
    return { ...view, events: events.ok ? events.body.events : [] };
  } catch {
    return unreachable;
  }
}

async function disconnect() {
  const button = element('disconnect');
  button.disabled = true;
  button.textContent = 'Disconnecting…';
  try {
    const response = await call('POST', `disconnect/${organization}`);
    if (response.ok) announce('good', 'QuickBooks is disconnected.');
    else announce('bad', `QuickBooks was not disconnected. ${response.body.detail}`);
  } catch {
    announce('bad', 'QuickBooks was not disconnected: the service did not respond.');
  }
  button.disabled = false;
  button.textContent = 'Disconnect';
  void poll();
}

async function call(method, path, signal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(`${api}/${path}`, {
    method,
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  return { ok: response.ok, body: await response.json() };
}

function viewOf(status) {
  const company = status.company_name ?? `company ${status.realm_id}`;
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

const unreachable = {
  state: 'unreachable',
  title: 'Service unreachable',
  note: 'The integration service does not respond. This page keeps trying.',
};

function rejection(problem) {
  return { state: 'rejected', title: 'Status not available', note: problem.detail ?? problem.title };
}

function show({ state, title, note = '', status, events = [], actions: shown = [] }) {
  element('card').dataset.state = state;
  setText('status', title);
  setText('note', note);
  element('note').hidden = !note;
  for (const action of actions) action.hidden = !shown.includes(action.id);
  showTimeline(events);
  element('facts').hidden = !status;
  if (!status) return;
  showFact('realm-id', status.realm_id);
  showFact(
    'access-expiry',
    status.is_expired ? 'Expired: refreshed on its next use' : formatInstant(status.expires_at),
  );
  showFact('refresh-expiry', formatInstant(status.refresh_token_expires_at));
  showFact('last-refreshed', formatInstant(status.last_refreshed_at) || (status.connected && 'Not yet'));
}

function showTimeline(events) {
  element('history').hidden = events.length === 0;
  const items = events.map(describe);
  const list = element('timeline');
  if (list.dataset.shown === JSON.stringify(items)) return;
  list.dataset.shown = JSON.stringify(items);
  list.replaceChildren(
    ...items.map(({ tone, ...lines }) => {
      const item = document.createElement('li');
      item.dataset.tone = tone;
      for (const [name, text] of Object.entries(lines)) {
        if (text) item.append(Object.assign(document.createElement('p'), { className: name, textContent: text }));
      }
      return item;
    }),
  );
}

function describe({ type, reason, realm_id, actor, occurred_at }) {
  const [tone, what] = EVENTS[type] ?? ['', type];
  const who = ACTORS[actor] ?? `by ${actor}`;
  const company = realm_id ? ` · company ${realm_id}` : '';
  return { tone, what, why: REASONS[reason] ?? reason, who: `${formatInstant(occurred_at)} · ${who}${company}` };
}

const EVENTS = {
  connected: ['good', 'Connected'],
  reconnected: ['good', 'Connected again'],
  disconnected: ['', 'Disconnected'],
  lost: ['bad', 'Connection lost'],
  recovered: ['good', 'Connection restored'],
  expiring: ['bad', 'The authorization ends within 30 days: please connect again'],
  refresh_failing: ['bad', 'Tokens could not be refreshed'],
  refresh_recovered: ['good', 'Tokens are refreshed again'],
  company_mismatch: ['bad', 'Not connected: the sign-in was for another company'],
  consent_refused: ['', 'Not connected: the user declined'],
  connect_failed: ['bad', 'Not connected: the sign-in failed'],
  confirmation_expired: ['', 'Not connected: it was not confirmed in time'],
};

const REASONS = {
  ...LOSSES,
  access_denied: 'The user cancelled on the QuickBooks page.',
  temporarily_unavailable: 'QuickBooks was not available.',
  server_error: 'QuickBooks reported an error.',
};

const ACTORS = { browser: 'in a browser', service: 'by the service itself' };

function showFact(fact, text) {
  setText(fact, text || '');
  element(fact).parentElement.hidden = !text;
}

/** Sets only a text that changed: screen readers announce every text that is set in a live region. */
function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function formatInstant(instant) {
  if (!instant) return '';
  const date = new Date(instant);
  const time = date.toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });
  return `${time} (${relative(date - Date.now())})`;
}

function relative(milliseconds) {
  const minutes = milliseconds / 60_000;
  const [amount, unit] =
    Math.abs(minutes) < 90
      ? [minutes, 'minute']
      : Math.abs(minutes) < 2880
        ? [minutes / 60, 'hour']
        : [minutes / 1440, 'day'];
  return new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(Math.round(amount), unit);
}

function announceOutcome(query) {
  if (query.get('connected') === 'true') announce('good', 'QuickBooks is connected.');
  if (query.get('connected') === 'false') announce('bad', OUTCOMES[query.get('error')] ?? OUTCOMES.server_error);
}

const OUTCOMES = {
  access_denied: 'You cancelled. Nothing was changed.',
  temporarily_unavailable: 'QuickBooks is not available at the moment. Please try again in a few minutes.',
  provider_unavailable: 'QuickBooks is not available at the moment. Please try again in a few minutes.',
  invalid_state: 'This sign-in has expired, or was started in another browser. Please connect again.',
  company_mismatch: 'The sign-in was for another company. Please connect again.',
  unauthorized: 'This link has expired or was already used. Please ask for a new one.',
  server_error: 'QuickBooks was not connected. Please try again. If the problem persists, contact support.',
};

function announce(tone, text) {
  const banner = element('banner');
  banner.dataset.tone = tone;
  banner.setAttribute('role', tone === 'good' ? 'status' : 'alert');
  banner.hidden = false;
  element('banner-text').textContent = text;
}

start();
