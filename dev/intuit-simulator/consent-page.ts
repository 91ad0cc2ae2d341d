import { AUTHORIZATION_PARAMETERS, type AuthorizationRequest } from './authorization-request.ts';

/** The page on which a user chooses a company and then connects or cancels. */
export function consentPage(
  appName: string,
  request: AuthorizationRequest,
  companies: { realmId: string; name: string }[],
): string {
  const app = escapeHtml(appName);
  const fields = AUTHORIZATION_PARAMETERS.map(
    (name) => `<input type="hidden" name="${name}" value="${escapeHtml(request[name])}">`,
  );
  const options = companies.map(
    ({ realmId, name }) => `<option value="${escapeHtml(realmId)}">${escapeHtml(name)}</option>`,
  );
  return page(
    `Connect ${app} to QuickBooks`,
    `<div class="pair" aria-hidden="true"><span>${escapeHtml(appName.slice(0, 1))}</span><i></i><span>qb</span></div>
    <h1>Connect ${app} to QuickBooks</h1>
    <p>${app} will be able to read and change the accounting data of the company you choose:
    its customers, invoices, payments and reports. You can disconnect it at any time.</p>
    <form method="post" action="/connect/oauth2">
      ${fields.join('\n      ')}
      <label for="company">Company</label>
      <select id="company" name="realmId">${options.join('')}</select>
      <div class="buttons">
        <button name="decision" value="cancel">Cancel</button>
        <button name="decision" value="connect" class="main">Connect</button>
      </div>
    </form>`,
  );
}

/** The page for an invalid authorization request. */
export function problemPage(problem: string): string {
  return page(
    'This app can’t connect',
    `<h1>This app can’t connect</h1>
    <p>Intuit would not accept this authorization request:</p>
    <p class="problem">${escapeHtml(problem)}</p>`,
  );
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title}</title>
  <link rel="icon" href="data:,">
  <style>${STYLES}</style>
</head>
<body>
  <header>intuit</header>
  <main>
    ${content}
  </main>
  <footer>A local simulator for development and tests: no Intuit account or real company is involved.</footer>
</body>
</html>
`;
}

const STYLES = `
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; background: #f4f5f8; color: #21262a;
    font: 16px/1.5 "Avenir Next", Avenir, "Helvetica Neue", Helvetica, Arial, sans-serif; }
  header { padding: 14px 32px; background: #fff; border-bottom: 1px solid #e3e5e8; color: #236cff;
    font-size: 26px; font-weight: 800; letter-spacing: -0.5px; line-height: 1.2; }
  main { width: min(480px, 100% - 32px); margin: auto; padding: 40px; background: #fff; border-radius: 12px;
    border: 1px solid #e3e5e8; box-shadow: 0 4px 24px rgb(33 38 42 / 8%); }
  h1 { margin: 0 0 12px; font-size: 24px; line-height: 1.25; text-align: center; text-wrap: balance; }
  p { margin: 0 0 24px; color: #4c555b; }
  .pair { display: flex; align-items: center; justify-content: center; gap: 12px; margin-bottom: 24px; }
  .pair span { width: 56px; height: 56px; border-radius: 14px; background: #1d2b53; color: #fff; font-size: 24px;
    font-weight: 700; line-height: 56px; text-align: center; }
  .pair span:last-child { border-radius: 50%; background: #0d7d2c; }
  .pair i { width: 40px; border-top: 3px dotted #a9b1b7; }
  label { display: block; margin-bottom: 6px; font-size: 14px; font-weight: 600; }
  select { width: 100%; height: 44px; padding: 0 40px 0 12px; border: 1px solid #8d9096; border-radius: 6px; color: inherit;
    font: inherit; text-overflow: ellipsis; appearance: none; background: #fff url("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='12' height='8' fill='none' stroke='%234c555b' stroke-width='2'%3E%3Cpath d='m1 1 5 5 5-5'/%3E%3C/svg%3E") no-repeat right 14px center; }
  .buttons { display: flex; gap: 12px; margin-top: 32px; }
  button { flex: 1; height: 44px; border: 1px solid #8d9096; border-radius: 6px; background: #fff; color: inherit;
    font: inherit; font-weight: 600; cursor: pointer; }
  button:hover { background: #f4f5f8; }
  button.main { border-color: #0d7d2c; background: #0d7d2c; color: #fff; }
  button.main:hover { background: #0a6624; }
  select:focus-visible, button:focus-visible { outline: 3px solid #236cff; outline-offset: 2px; }
  .problem { margin: 0; padding: 12px 16px; border-left: 4px solid #d52b1e; background: #fdf1f0; color: #21262a;
    overflow-wrap: anywhere; }
  footer { padding: 24px 32px; color: #5d666d; font-size: 13px; text-align: center; text-wrap: balance; }
  @media (max-width: 480px) { header { padding: 12px 16px; } main { margin: 16px auto auto; padding: 28px 20px; } }
`;

function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
