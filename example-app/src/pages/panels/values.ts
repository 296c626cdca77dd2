import { createHash } from 'node:crypto'
import { colourName, type Json, type SignedIn, snapshot, storedValue } from '../../session/data.ts'
import { type Html, html } from '../html.ts'
import { colouredJson, kindOf, prettyJson } from '../json.ts'

/** What somebody typed and what keeps it from being stored. */
export interface Draft {
  readonly key: string
  readonly text: string
  readonly problem: string
  readonly about: 'key' | 'value'
  /** Typed into a row of the table, not into the form below it. */
  readonly editing: boolean
  /** In a conflict: the value that is stored now, as a snapshot. */
  readonly theirs?: string | undefined
}

interface Model {
  readonly session: SignedIn
  readonly draft?: Draft | undefined
  /** The key whose row is open for editing. */
  readonly editing?: string | undefined
  /** What was just deleted. */
  readonly deleted?: Deleted | undefined
}

export interface Deleted {
  readonly key: string
  readonly value: Json
}

/** The session as a dict: a row per key, and a form for more. */
export function valuesPanel(model: Model): Html {
  return html`
    <section class="panel" id="dict" aria-labelledby="dict-title">
      <header>
        <h2 id="dict-title">Your session is a dict</h2>
        <p>Keys and values of any JSON kind. In the code of this app it is <code>req.session</code>.</p>
      </header>
      <p class="last-change" id="last-change" aria-live="polite" data-live>${lastChange(model.session)}</p>
      ${undoForm(model.deleted)}
      <table class="values">
        <colgroup><col class="keys"><col><col class="acts"></colgroup>
        <thead class="visually-hidden">
          <tr><th scope="col">Key</th><th scope="col">Value</th><th scope="col">Actions</th></tr>
        </thead>
        <tbody id="values" data-live>${valueRows(model)}</tbody>
      </table>
      ${addForm(model.draft?.editing === false ? model.draft : undefined)}
    </section>`
}

export function lastChange({ edits, browsers }: SignedIn): Html {
  const [key, edit] = Object.entries(edits).reduce<[string, SignedIn['edits'][string]] | []>(
    (latest, entry) => (entry[1].at > (latest[1]?.at ?? 0) ? entry : latest),
    [],
  )
  if (key === undefined || edit === undefined) return html`Nothing has been changed yet.`
  const browser = browsers[edit.by]
  return html`<span class="dot" data-colour="${browser?.colour}"></span>
    ${colourName(browser)} ${edit.deleted ? 'deleted' : 'set'} <code>${key}</code> at ${clock(edit.at)}`
}

/** Takes back what was just deleted, until something else is done. */
function undoForm(deleted: Deleted | undefined): Html {
  return html`<div id="undo-part" data-part data-answer>${
    deleted !== undefined &&
    html`
      <form class="undo" method="post" action="/values" data-swap data-then="${rowId(deleted.key)}-edit">
        <span role="status">Deleted <code>${deleted.key}</code>.</span>
        <input type="hidden" name="key" value="${deleted.key}">
        <input type="hidden" name="value" value="${snapshot(deleted.value)}">
        <button id="undo" autofocus>Undo</button>
      </form>`
  }</div>`
}

/** The rows; also sent alone when something changed. */
export function valueRows({ session, draft, editing }: Model): Html {
  const keys = Object.keys(session.values)
  const open = draft?.editing ? draft.key : editing
  // A row may have been deleted while it was being edited: what was typed stays.
  if (draft?.editing && !keys.includes(draft.key)) keys.push(draft.key)
  if (keys.length === 0)
    return html`<tr class="empty" id="no-values"><td colspan="3">It is empty. Put something in: whatever you like.</td></tr>`
  return html`${keys.map(key =>
    key === open ? editorRow(session, key, draft?.editing ? draft : undefined) : valueRow(session, key),
  )}`
}

/** Characters that the middle column has room for. */
const COLUMN = 32

function valueRow(session: SignedIn, key: string): Html {
  const value = storedValue(session, key) as Json
  const edit = session.edits[key]
  const browser = session.browsers[edit?.by ?? '']
  return html`
    <tr id="${rowId(key)}" data-edit="${edit?.at}" data-colour="${browser?.colour}">
      <th scope="row">
        <code>${key}</code>
        <small>${edit && html`<span class="dot" data-colour="${browser?.colour}"></span> ${colourName(browser)}, ${clock(edit.at)}`}</small>
      </th>
      <td><span class="kind">${kindOf(value)}</span><pre tabindex="0" aria-label="${key}"><code>${colouredJson(prettyJson(value, COLUMN))}</code></pre></td>
      <td class="actions">
        <a class="button quiet" id="${rowId(key)}-edit" href="/?edit=${encodeURIComponent(key)}#${rowId(key)}" data-swap data-then="${rowId(key)}-value" aria-label="Edit ${key}">Edit</a>
        <form method="post" action="/values/delete" data-swap data-then="undo">
          <input type="hidden" name="key" value="${key}">
          <button class="quiet danger" id="${rowId(key)}-delete" aria-label="Delete ${key}">Delete</button>
        </form>
      </td>
    </tr>`
}

function editorRow(session: SignedIn, key: string, draft: Draft | undefined): Html {
  const value = storedValue(session, key)
  const text = draft?.text ?? (value === undefined ? '' : prettyJson(value))
  const lines = Math.min(Math.max(text.split('\n').length, 1), 16)
  const id = rowId(key)
  return html`
    <tr id="${id}" class="editor" data-editing>
      <th scope="row"><code>${key}</code></th>
      <td colspan="2">
        <form id="${id}-form" method="post" action="/values" data-swap data-then="${id}-edit">
          <input type="hidden" name="key" value="${key}">
          <input type="hidden" name="edit" value="1">
          <input type="hidden" name="was" value="${snapshot(value)}">
          <label class="visually-hidden" for="${id}-value">Value of ${key}, as JSON</label>
          <textarea id="${id}-value" name="value" rows="${lines}" spellcheck="false" autocapitalize="off" autocomplete="off"
            autofocus ${problemAttributes(draft, 'value', id)}>${'\n'}${text}</textarea>
          ${problemText(draft, id)}
          <p class="buttons">
            <button class="primary">Save</button>
            ${asTextButton(draft)}
            <a class="button" href="/#${id}" data-swap data-cancel data-then="${id}-edit">${draft?.theirs === undefined ? 'Cancel' : 'Keep what is there'}</a>
          </p>
        </form>
      </td>
    </tr>`
}

function addForm(draft: Draft | undefined): Html {
  return html`
    <form class="add" id="add" method="post" action="/values" data-swap data-part data-then="add-key">
      ${draft?.theirs !== undefined && warned(draft.key, draft.theirs)}
      <div class="field">
        <label for="add-key">Key</label>
        <input id="add-key" name="key" value="${draft?.key}" required maxlength="100" spellcheck="false" autocapitalize="off"
          autocomplete="off" placeholder="colour" ${problemAttributes(draft, 'key', 'add')}>
      </div>
      <div class="field grow">
        <label for="add-value">Value, as JSON</label>
        <textarea id="add-value" name="value" rows="1" required spellcheck="false" autocapitalize="off" autocomplete="off"
          placeholder='"blue"' ${problemAttributes(draft, 'value', 'add')}>${'\n'}${draft?.text}</textarea>
      </div>
      <button class="primary">Put it in</button>
      ${problemText(draft, 'add')}
      ${asTextButton(draft)}
      <p class="examples">Such as
        ${EXAMPLES.map(([key, value]) => html`<button type="button" class="chip" data-key="${key}" data-value="${value}"><code>${value}</code></button> `)}
      </p>
    </form>`
}

/** That another value lies under this very key was said: saving again replaces it. */
function warned(key: string, theirs: string): Html {
  return html`
    <input type="hidden" name="warned-key" value="${key}">
    <input type="hidden" name="warned-was" value="${theirs}">`
}

const EXAMPLES = [
  ['theme', '"dark"'],
  ['visits', '42'],
  ['newsletter', 'true'],
  ['cart', '{"apples": 3, "pears": 1}'],
  ['recent', '["/shoes", "/hats"]'],
] as const

function problemAttributes(draft: Draft | undefined, about: Draft['about'], id: string): Html | false {
  return draft?.about === about && html`aria-invalid="true" aria-describedby="${id}-problem"`
}

function problemText(draft: Draft | undefined, id: string): Html | false {
  return (
    draft !== undefined &&
    html`<p class="problem" id="${id}-problem" role="alert">${draft.problem}
      ${draft.theirs !== undefined && draft.theirs !== 'nothing' && html`<br>There now: <code>${draft.theirs}</code>`}</p>`
  )
}

/** Most of what is no JSON was meant to be plain text. */
function asTextButton(draft: Draft | undefined): Html | false {
  return (
    draft?.about === 'value' &&
    draft.theirs === undefined &&
    draft.text.trim() !== '' &&
    html`<button name="as" value="text">Save it as text</button>`
  )
}

/** Keys can be anything; ids of elements cannot. */
export function rowId(key: string): string {
  return `row-${createHash('sha256').update(key).digest('hex').slice(0, 10)}`
}

/** A time of today. The page's script turns it into the visitor's own time zone. */
function clock(at: number): Html {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}">${iso.slice(11, 19)} UTC</time>`
}
