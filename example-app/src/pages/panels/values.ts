import { createHash } from 'node:crypto'
import { browserLabel, capitalised } from '../../session/browsers.ts'
import { type Json, type SignedIn, snapshot, storedValue } from '../../session/data.ts'
import { type Html, html } from '../html.ts'
import { colouredJson, prettyJson, typeOf } from '../json.ts'
import { clock } from '../time.ts'

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
  /** This browser's id. */
  readonly browser: string | undefined
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

/** What is in the session: a row per key, and a form for more. */
export function valuesPanel(model: Model): Html {
  return html`
    <section class="panel" id="dict" aria-labelledby="dict-title">
      <header class="beside">
        <div>
          <h2 id="dict-title">Session data</h2>
          <p>Keys with values of any JSON type: <code>req.session</code> in the code of this app.</p>
        </div>
        <p class="last-change" id="last-change" aria-live="polite" data-live>${lastChange(model)}</p>
      </header>
      <ul class="values" id="values" data-live>${valueRows(model)}</ul>
      ${undoForm(model.deleted)}
      ${addForm(model.draft?.editing === false ? model.draft : undefined)}
    </section>`
}

function lastChange({ session: { edits, browsers }, browser }: Model): Html {
  const [key, edit] = Object.entries(edits).reduce<[string, SignedIn['edits'][string]] | []>(
    (latest, entry) => (entry[1].at > (latest[1]?.at ?? 0) ? entry : latest),
    [],
  )
  if (key === undefined || edit === undefined) return html`Nothing has been changed yet.`
  const who = capitalised(browserLabel(browsers, edit.by, browser))
  return html`<span class="dot" data-colour="${browsers[edit.by]?.colour}"></span> ${who} ${edit.deleted ? 'deleted' : 'set'} <code>${key}</code>`
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

function valueRows(model: Model): Html {
  const { session, draft, editing } = model
  const keys = Object.keys(session.values)
  const open = draft?.editing ? draft.key : editing
  // A row may have been deleted while it was being edited: what was typed stays.
  if (draft?.editing && !keys.includes(draft.key)) keys.push(draft.key)
  if (keys.length === 0)
    return html`<li class="empty" id="no-values">Nothing in it yet. Add a key below, or take one of the examples.</li>`
  return html`${keys.map(key =>
    key === open ? editorRow(session, key, draft?.editing ? draft : undefined) : valueRow(model, key),
  )}`
}

/** Characters of JSON that are shown in a row. What is longer is faded, and shown on demand. */
const LONGEST_LINE = 60

function valueRow({ session, browser: here }: Model, key: string): Html {
  const value = storedValue(session, key) as Json
  const edit = session.edits[key]
  const id = rowId(key)
  return html`
    <li class="value" id="${id}" data-edit="${edit?.at}" data-colour="${session.browsers[edit?.by ?? '']?.colour}">
      <code class="key" title="${key}">${key}</code>
      <span class="type">${typeOf(value)}</span>
      ${valueText(value)}
      <small class="changer">${
        edit &&
        html`<span class="dot" data-colour="${session.browsers[edit.by]?.colour}"></span> <span class="by">${browserLabel(session.browsers, edit.by, here)}, </span>${clock(edit.at)}`
      }</small>
      <div class="actions">
        <a class="button quiet" id="${id}-edit" href="/?edit=${encodeURIComponent(key)}#${id}" data-swap data-then="${id}-value" aria-label="Edit ${key}">Edit</a>
        <form method="post" action="/values/delete" data-swap data-then="undo">
          <input type="hidden" name="key" value="${key}">
          <button class="quiet danger" id="${id}-delete" aria-label="Delete ${key}">Delete</button>
        </form>
      </div>
    </li>`
}

function valueText(value: Json): Html {
  const line = prettyJson(value, Number.POSITIVE_INFINITY)
  if (line.length <= LONGEST_LINE) return html`<code class="json">${colouredJson(line)}</code>`
  return html`
    <details class="json long">
      <summary><code>${colouredJson(line.slice(0, 4 * LONGEST_LINE))}</code> <span class="more">Show all</span><span class="less">Show less</span></summary>
      <pre><code>${colouredJson(prettyJson(value))}</code></pre>
    </details>`
}

function editorRow(session: SignedIn, key: string, draft: Draft | undefined): Html {
  const value = storedValue(session, key)
  const text = draft?.text ?? (value === undefined ? '' : prettyJson(value))
  const lines = Math.min(Math.max(text.split('\n').length, 1), 16)
  const id = rowId(key)
  return html`
    <li id="${id}" class="editor" data-editing data-since="${session.edits[key]?.at}">
      <code class="key" title="${key}">${key}</code>
      <form id="${id}-form" method="post" action="/values" data-swap data-then="${id}-edit">
        <input type="hidden" name="key" value="${key}">
        <input type="hidden" name="edit" value="1">
        <input type="hidden" name="was" value="${snapshot(value)}">
        <label class="visually-hidden" for="${id}-value">Value of ${key}, as JSON</label>
        <textarea id="${id}-value" name="value" rows="${lines}" spellcheck="false" autocapitalize="off" autocomplete="off"
          autofocus ${problemAttributes(draft, 'value', id)}>${'\n'}${text}</textarea>
        ${problemText(draft, id)}
        <p class="buttons">
          <button class="strong">Save</button>
          ${asTextButton(draft)}
          <a class="button" href="/#${id}" data-swap data-cancel data-then="${id}-edit">${draft?.theirs === undefined ? 'Cancel' : 'Keep what is there'}</a>
        </p>
      </form>
    </li>`
}

function addForm(draft: Draft | undefined): Html {
  return html`
    <form class="add" id="add" method="post" action="/values" data-swap data-part data-then="add-key">
      ${draft?.theirs !== undefined && warned(draft.key, draft.theirs)}
      <div class="field">
        <label for="add-key">Key</label>
        <input id="add-key" name="key" value="${draft?.key}" required maxlength="100" spellcheck="false" autocapitalize="off"
          autocomplete="off" placeholder="colour" ${problemAttributes(draft, 'key', 'add')}>
        ${draft?.about === 'key' && problemText(draft, 'add')}
      </div>
      <div class="field grow">
        <label for="add-value">Value, as JSON</label>
        <textarea id="add-value" name="value" rows="1" required spellcheck="false" autocapitalize="off" autocomplete="off"
          placeholder='"blue"' ${problemAttributes(draft, 'value', 'add')}>${'\n'}${draft?.text}</textarea>
        ${draft?.about === 'value' && html`<div class="wrong">${problemText(draft, 'add')} ${asTextButton(draft)}</div>`}
      </div>
      <button class="strong">Add</button>
      <p class="examples">For example
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
function rowId(key: string): string {
  return `row-${createHash('sha256').update(key).digest('hex').slice(0, 10)}`
}
