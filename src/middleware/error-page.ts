import { createHash } from 'node:crypto';

const STYLE = `
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #f4f5f8; color: #21262a;
    font: 16px/1.5 system-ui, sans-serif; }
  main { box-sizing: border-box; width: min(30rem, 100% - 2rem); padding: 2rem; border-radius: 12px; background: #fff;
    box-shadow: 0 1px 3px rgb(0 0 0 / 15%); }
  h1 { margin: 0 0 .75rem; font-size: 1.35rem; }
  a { display: inline-block; margin: .75rem 0 1.25rem; padding: .6rem 1.1rem; border-radius: 6px; background: #0a6c3b;
    color: #fff; font-weight: 600; text-decoration: none; }
  small { color: #5b6570; }
`;

/** The page's style as a source for `style-src`. The CSP allows no other style, and no script. */
export const errorPageStyleSource = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`;

/** Renders an error as HTML for a user: what happened, what to do next, and the request ID to quote to support. */
export function errorPage(error: { detail: string; requestId: string; frontendUrl: string }): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The connection was not completed</title>
<style>${STYLE}</style>
<main>
  <h1>The connection was not completed</h1>
  <p>${escapeHtml(error.detail)}</p>
  <a href="${escapeHtml(error.frontendUrl)}/settings/integrations">Back to integrations</a>
  <p><small>If the problem persists, contact support and quote request ID <code>${escapeHtml(error.requestId)}</code>.</small></p>
</main>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
