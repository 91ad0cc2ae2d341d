const POLL_MS = 2000;
const SLOW_MS = 10_000;
const EVENTS_SHOWN = 10;
const REMEMBERED = 'octup.organization';
const OUTCOME = ['connected', 'system', 'error', 'organization'];

const api = `${document.documentElement.dataset.service}/api/v1/oauth/quickbooks`;
const element = (id) => document.getElementById(id);
const actions = ['connect', 'reconnect', 'disconnect'].map(element);

let organization = '';
let polling = new AbortController();

function start() {
  const query = new URLSearchParams(location.search);
  element('organization').value = query.get('organization') ?? localStorage.getItem(REMEMBERED) ?? 'acme';
  element('organization').addEventListener('change', chooseOrganization);
  element('organization-form').addEventListener('submit', (event) => {
    event.preventDefault();
    chooseOrganization();
  });
  element('disconnect').addEventListener('click', disconnect);
  element('dismiss').addEventListener('click', () => {
    element('banner').hidden = true;
  });

  tellOutcome(query);
  for (const name of OUTCOME) query.delete(name);
  history.replaceState(null, '', `${location.pathname}${query.size ? `?${query}` : ''}`);
  chooseOrganization();
}

function chooseOrganization() {
  const input = element('organization');
  const valid = /^[A-Za-z0-9_-]{1,36}$/.test(input.value);
  input.setAttribute('aria-invalid', String(!valid));
  element('organization-problem').hidden = valid;
  polling.abort();
  if (!valid) return show({ state: 'checking', title: 'Which organization?' });
  organization = input.value;
  localStorage.setItem(REMEMBERED, organization);
  element('connect').href = `${api}/connect/${organization}`;
  element('reconnect').href = `${api}/connect/${organization}`;
  show({ state: 'checking', title: 'Checking…' });
  void poll();
}

/** Shows status and timeline now and every two seconds from now, until the next call of this. */
async function poll() {
  polling.abort(); // an answer on its way may be older than what was just done
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
    const view = status.ok ? viewOf(status.body) : refusal(status.body);
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
    const answer = await call('POST', `disconnect/${organization}`);
    if (answer.ok) announce('good', 'QuickBooks is disconnected.');
    else announce('bad', `QuickBooks was not disconnected. ${answer.body.detail}`);
  } catch {
    announce('bad', 'QuickBooks was not disconnected: the service did not answer.');
  }
  button.disabled = false;
  button.textContent = 'Disconnect';
  void poll();
}

async function call(method, path, signal) {
  const slow = AbortSignal.timeout(SLOW_MS);
  const response = await fetch(`${api}/${path}`, {
    method,
    signal: signal ? AbortSignal.any([signal, slow]) : slow,
  });
  return { ok: response.ok, body: await response.json() };
}

function viewOf(status) {
  const company = status.company_name ?? `company ${status.realm_id}`;
  if (status.connected) {
    return { state: 'connected', title: `Connected to ${company}`, status, actions: ['disconnect'] };
  }
  if (status.needs_reauthorization) {
    const note = `${LOSSES[status.reason] ?? 'The connection was lost.'} Reconnect ${company} to go on.`;
    return { state: 'lost', title: 'Needs reconnecting', note, status, actions: ['reconnect', 'disconnect'] };
  }
  const note = 'Connect a company, and Octup can read and write its books.';
  return { state: 'disconnected', title: 'Not connected', note, actions: ['connect'] };
}

const LOSSES = {
  authorization_revoked: 'QuickBooks no longer accepts this connection: it may have been ended inside QuickBooks.',
  rotation_lost: 'The last renewal was interrupted, and the connection could not be kept.',
  refresh_token_expired: 'The permission given to Octup has run out.',
};

const unreachable = {
  state: 'unreachable',
  title: 'Service unreachable',
  note: 'The integration service does not answer. This page keeps trying.',
};

function refusal(problem) {
  return { state: 'refused', title: 'Status not available', note: problem.detail ?? problem.title };
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
  tell('realm-id', status.realm_id);
  tell('access-expiry', status.is_expired ? 'Expired: renewed at its next use' : when(status.expires_at));
  tell('refresh-expiry', when(status.refresh_token_expires_at));
  tell('last-refreshed', when(status.last_refreshed_at) || (status.connected && 'Not yet'));
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
  return { tone, what, why: REASONS[reason] ?? reason, who: `${when(occurred_at)} · ${who}${company}` };
}

const EVENTS = {
  connected: ['good', 'Connected'],
  reconnected: ['good', 'Connected again'],
  disconnected: ['', 'Disconnected'],
  lost: ['bad', 'Connection lost'],
  recovered: ['good', 'Connection found alive again'],
  expiring: ['bad', 'The permission ends within 30 days: connect again before that'],
  refresh_failing: ['bad', 'The connection could not be renewed'],
  refresh_recovered: ['good', 'Renewals work again'],
  company_mismatch: ['bad', 'Not connected: the sign-in was for another company'],
  consent_refused: ['', 'Not connected: the person did not agree'],
};

const REASONS = {
  ...LOSSES,
  access_denied: 'They cancelled at QuickBooks.',
  temporarily_unavailable: 'QuickBooks was not available.',
  server_error: 'QuickBooks could not go on.',
};

const ACTORS = { browser: 'in a browser', service: 'by the service itself' };

function tell(fact, text) {
  setText(fact, text || '');
  element(fact).parentElement.hidden = !text;
}

/** Only what changed: a screen reader speaks whatever is set in a live region. */
function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function when(instant) {
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

function tellOutcome(query) {
  if (query.get('connected') === 'true') announce('good', 'QuickBooks is connected.');
  if (query.get('connected') === 'false') announce('bad', OUTCOMES[query.get('error')] ?? OUTCOMES.server_error);
}

const OUTCOMES = {
  access_denied: 'You cancelled. Nothing was changed.',
  temporarily_unavailable: 'QuickBooks is not available just now. Try again in a few minutes.',
  server_error: 'QuickBooks could not connect Octup. Try again; if it goes on, tell support.',
};

function announce(tone, text) {
  const banner = element('banner');
  banner.dataset.tone = tone;
  banner.setAttribute('role', tone === 'good' ? 'status' : 'alert');
  banner.hidden = false;
  element('banner-text').textContent = text;
}

start();
