import { type Html, html } from './html.ts'
import { layout } from './layout.ts'
import type { PageError } from './page-error.ts'

export function errorPage({ status, title, message }: PageError): Html {
  return layout({
    title,
    body: html`
      <div class="welcome error" data-status="${status}">
        <p class="status">${status}</p>
        <h1>${title}</h1>
        <p class="lead">${message}</p>
        <p><a class="button primary" href="/">Back to the first page</a></p>
      </div>`,
  })
}
