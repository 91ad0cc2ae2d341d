import { errorMessage, eventMessage, outcomeMessage, statusMessage } from './messages.js';
import { isPopup, onPopupReturn, openPopup, QuickBooks, returnFromPopup } from './quickbooks.js';

const POLL_MS = 5000;
const EVENTS_SHOWN = 10;
const STORED = { organization: 'octup.organization', popup: 'octup.popup', companies: 'octup.companies' };
const OUTCOME = ['connected', 'disconnected', 'system', 'error', 'confirmation', 'request_id'];

const { base, service } = document.documentElement.dataset;
const returnPage = `${location.origin}${base}/settings/integrations`;
const element = (id) => document.getElementById(id);
const actions = ['connect', 'reconnect', 'disconnect'].map(element);

let quickbooks;
let lostCompanyId;
let polling = new AbortController();

function start() {
  const query = new URLSearchParams(location.search);
  const isReturning = OUTCOME.some((name) => query.has(name));
  if (isReturning && isPopup()) return returnFromPopup();
  // A sign-in would know the organization. The URL of a return page is chosen by others, and never says it.
  const chosen = isReturning ? null : query.get('organization');
  element('organization').value = chosen ?? localStorage.getItem(STORED.organization) ?? 'acme';
  element('popup').checked = localStorage.getItem(STORED.popup) === 'true';
  element('popup').addEventListener('change', ({ target }) => localStorage.setItem(STORED.popup, target.checked));
  element('organization').addEventListener('change', chooseOrganization);
  element('organization-form').addEventListener('submit', (event) => {
    event.preventDefault();
    chooseOrganization();
  });
  element('connect').addEventListener('click', () => connect());
  element('reconnect').addEventListener('click', () => connect(lostCompanyId));
  element('disconnect').addEventListener('click', disconnect);
  element('dismiss').addEventListener('click', () => {
    element('banner').hidden = true;
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void poll();
  });
  onPopupReturn(showOutcome);

  for (const name of [...OUTCOME, 'organization']) query.delete(name);
  const outcome = new URLSearchParams(location.search);
  history.replaceState(null, '', `${location.pathname}${query.size ? `?${query}` : ''}`);
  chooseOrganization();
  void showOutcome(outcome);
}

function chooseOrganization() {
  const input = element('organization');
  const valid = /^[A-Za-z0-9_-]{1,36}$/.test(input.value);
  input.setAttribute('aria-invalid', String(!valid));
  element('organization-problem').hidden = valid;
  polling.abort();
  if (!valid) return show({ state: 'checking', title: 'Enter an organization' });
  localStorage.setItem(STORED.organization, input.value);
  quickbooks = new QuickBooks({ service, organization: input.value, getToken: tokenOf(input.value) });
  show({ state: 'checking', title: 'Checking…' });
  void poll();
}

/** Octup's sign-in issues the user's token. Here the development server does, to anyone and for any organization. */
function tokenOf(organization) {
  let token;
  let renewAt = 0;
  return async () => {
    if (Date.now() < renewAt) return token;
    const response = await fetch(`${base}/session`, { method: 'POST', body: JSON.stringify({ organization }) });
    const session = await response.json();
    token = session.access_token;
    renewAt = Date.now() + (session.expires_in - 30) * 1000;
    return token;
  };
}

/** @param companyId the only company that may be connected */
async function connect(companyId) {
  const popup = element('popup').checked ? openPopup() : null;
  const returnUrl = popup ? `${location.origin}${base}/settings/integrations/returned` : returnPage;
  await attempt('QuickBooks was not connected.', () => quickbooks.connect({ returnUrl, companyId, popup }));
}

async function disconnect() {
  const button = element('disconnect');
  button.disabled = true;
  button.textContent = 'Disconnecting…';
  await attempt('QuickBooks was not disconnected.', async () => {
    await quickbooks.disconnect();
    announce({ tone: 'good', text: 'QuickBooks is disconnected.' });
  });
  button.disabled = false;
  button.textContent = 'Disconnect';
  void poll();
}

/** Shows how the user returned from QuickBooks, and completes a connection that awaits confirmation. */
async function showOutcome(query) {
  const message = outcomeMessage(query);
  if (message) announce(message);
  if (query.get('connected') === 'pending') {
    await attempt('QuickBooks was not connected.', async () => {
      await quickbooks.confirm(query.get('confirmation'));
      announce({ tone: 'good', text: 'QuickBooks is connected.' });
    });
  }
  if (message) void poll();
}

async function attempt(failure, action) {
  try {
    await action();
  } catch ({ code, request_id }) {
    const { text } = code ? errorMessage(code, request_id) : { text: 'The service did not respond.' };
    announce({ tone: 'bad', text: `${failure} ${text.replace(failure, '').trim()}` });
  }
}

/** Shows the status and the history, now and every few seconds while the page is visible, until it is called again. */
async function poll() {
  polling.abort(); // a response on its way may be older than the user's last action
  polling = new AbortController();
  const { signal } = polling;
  while (!signal.aborted && !document.hidden) {
    const { waitMs = POLL_MS, ...view } = await currentView();
    if (!signal.aborted) show(view);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function currentView() {
  try {
    const status = await quickbooks.status();
    const { events } = await quickbooks.events(EVENTS_SHOWN);
    return { ...statusMessage(status), events };
  } catch ({ code, message, retryAfterSeconds = 0 }) {
    const waitMs = Math.max(POLL_MS, retryAfterSeconds * 1000);
    return code ? { state: 'rejected', title: 'Status not available', note: message, waitMs } : UNREACHABLE;
  }
}

const UNREACHABLE = {
  state: 'unreachable',
  title: 'Service unreachable',
  note: 'The integration service does not respond. This page keeps trying.',
};

function show({ state, title, note = '', status, events = [], actions: shown = [] }) {
  lostCompanyId = state === 'lost' ? status.realm_id : undefined;
  element('card').dataset.state = state;
  setText('status', title);
  setText('note', note);
  element('note').hidden = !note;
  for (const action of actions) action.hidden = !shown.includes(action.id);
  element('popup-choice').hidden = !shown.includes('connect') && !shown.includes('reconnect');
  if (status) rememberCompany(status);
  showTimeline(events);
  element('facts').hidden = !status;
  if (!status) return;
  showFact('company', status.company_name ?? 'Its name could not be read yet');
  showFact(
    'access-expiry',
    status.is_expired ? 'Expired: refreshed on its next use' : formatInstant(status.expires_at),
  );
  showFact('refresh-expiry', formatInstant(status.refresh_token_expires_at));
  showFact('last-refreshed', formatInstant(status.last_refreshed_at) || (status.connected && 'Not yet'));
}

function showTimeline(events) {
  element('history').hidden = events.length === 0;
  const items = events.map((event) => {
    const { who, ...message } = eventMessage(event, companyName(event.realm_id));
    return { ...message, who: `${formatInstant(event.occurred_at)} · ${who}` };
  });
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

/** Events have the company's ID only: its name is known from the status. */
function rememberCompany({ realm_id, company_name }) {
  if (!company_name || companyName(realm_id) === company_name) return;
  const known = JSON.parse(localStorage.getItem(STORED.companies) ?? '{}');
  localStorage.setItem(STORED.companies, JSON.stringify({ ...known, [realm_id]: company_name }));
}

function companyName(realmId) {
  return JSON.parse(localStorage.getItem(STORED.companies) ?? '{}')[realmId];
}

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

function announce({ tone, text }) {
  const banner = element('banner');
  banner.dataset.tone = tone;
  banner.setAttribute('role', tone === 'good' ? 'status' : 'alert');
  banner.hidden = false;
  element('banner-text').textContent = text;
}

start();
