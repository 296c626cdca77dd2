import {
  Application,
  type Comment,
  type CommentDisplayPart,
  type DeclarationReflection,
  ReflectionKind,
  type SignatureReflection,
  type SomeType,
} from 'typedoc'

const INTRODUCTION =
  'Every method, option, event and type. `npm run reference` makes this page of the comments in `lib/`; ' +
  'what it is all about stands on the other [pages](README.md).'
/** These come first, in this order; then the rest by name. */
const FIRST = [
  'MemcachedStore',
  'MemcachedStoreOptions',
  'StoreEvents',
  'MemcachedStoreError',
  'EmbeddedMemcached',
]
/** Node's own, typed with the events of this page. */
const NOT_TOLD = 'on'

/** docs/reference.md, made of the TSDoc of what the package exports. */
export async function reference(): Promise<string> {
  const app = await Application.bootstrap({
    entryPoints: ['lib/index.ts', 'lib/discovery/index.ts', 'lib/embedded/index.ts', 'lib/fastify/index.ts'],
    // That is for `tsc`.
    skipErrorChecking: true,
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    // The page links to no source: so no git remote is needed to find one.
    disableGit: true,
    sourceLinkTemplate: '{path}',
    gitRevision: 'main',
    jsDocCompatibility: { defaultTag: false },
    validation: { notExported: true, invalidLink: true, notDocumented: true },
    // Node's, to which `lib/memcached` adds what its types leave out.
    intentionallyNotExported: ['Buffer'],
    logLevel: 'Warn',
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('TypeDoc found nothing')
  app.validate(project)
  if (app.logger.hasWarnings() || app.logger.hasErrors()) throw new Error('See the warnings above')
  const exported = (project.children ?? []).flatMap(({ children = [] }) => children)
  const described = exported.sort(inOrder).map(one => withEntry(one, describe(one)))
  return `${blocks('# Reference', INTRODUCTION, ...described)}\n`.replaceAll(
    '[asyncDispose]',
    '[Symbol.asyncDispose]',
  )
}

function inOrder(a: DeclarationReflection, b: DeclarationReflection): number {
  const rank = ({ name }: DeclarationReflection): number =>
    (FIRST.indexOf(name) + FIRST.length + 1) % (FIRST.length + 1)
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1)
}

/** Says where to import it from, unless that is the package itself. */
function withEntry({ parent }: DeclarationReflection, text: string): string {
  if (parent?.name === 'index') return text
  const [heading, ...rest] = text.split('\n\n')
  return blocks(heading as string, `From \`express-session-memcached/${parent?.name}\`.`, ...rest)
}

function describe(one: DeclarationReflection): string {
  if (isClass(one)) return describeClass(one)
  return one.kind === ReflectionKind.Function ? describeFunction(one) : describeType(one)
}

function describeFunction({ name, signatures = [] }: DeclarationReflection): string {
  return blocks(`## ${name}()`, code(signatures.map(callOf)), comment(signatures[0]?.comment))
}

function isClass({ kind }: DeclarationReflection): boolean {
  return kind === ReflectionKind.Class
}

function describeClass(declaration: DeclarationReflection): string {
  const members = inSource(declaration).filter(isTold)
  const [fields, methods] = split(members, ({ signatures }) => signatures === undefined)
  return blocks(
    `## ${declaration.name}`,
    comment(declaration.comment),
    list(fields),
    ...methods.map(describeMethod),
  )
}

/** What is there for the types only has no comment. */
function isTold({ name, kind, comment, signatures = [] }: DeclarationReflection): boolean {
  if (name === NOT_TOLD) return false
  return kind === ReflectionKind.Constructor || [comment, ...signatures.map(one => one.comment)].some(Boolean)
}

function describeMethod({ name, kind, flags, parent, signatures = [] }: DeclarationReflection): string {
  const isNew = kind === ReflectionKind.Constructor
  const [withCallback, others] = split(
    signatures,
    ({ parameters }) => parameters?.at(-1)?.name === 'callback',
  )
  const shown = others.length > 0 ? others : withCallback
  const also = others.length > 0 && withCallback.length > 0 ? ' // or with a callback' : ''
  const owner = flags.isStatic ? `${parent?.name}.` : ''
  const calls = shown.map(
    one => `${isNew ? `new ${parent?.name}${parametersOf(one)}` : owner + callOf(one)}${also}`,
  )
  return blocks(
    `### ${isNew ? `new ${parent?.name}` : owner + name}()`,
    code(calls),
    comment(shown[0]?.comment),
  )
}

function describeType(declaration: DeclarationReflection): string {
  const { name, type } = declaration
  const call = type?.type === 'reflection' ? type.declaration.signatures?.[0] : undefined
  const alias = call === undefined ? text(type) : `${parametersOf(call)} => ${text(call.type)}`
  return blocks(
    `## ${name}`,
    comment(declaration.comment ?? call?.comment),
    type === undefined ? list(inSource(declaration)) : code([`type ${name} = ${alias}`]),
  )
}

/** Options, fields and events. */
function list(members: readonly DeclarationReflection[]): string {
  const items = members.map(({ name, type, signatures, comment: own, parent }) => {
    const call = signatures?.[0]
    const hasDefault = own?.blockTags.some(({ tag }) => tag === '@defaultValue') ?? false
    if (parent?.name.endsWith('Options') && !hasDefault) {
      throw new Error(`The option ${name} of ${parent.name} says nothing of its default`)
    }
    const head = `- **\`${name}\`**: \`${call === undefined ? text(type) : callOf(call)}\``
    return blocks(head, comment(own ?? call?.comment).replace(/^(?=.)/gm, '  '))
  })
  return items.join(items.some(item => item.includes('\n')) ? '\n\n' : '\n')
}

function callOf(signature: SignatureReflection): string {
  const generics = signature.typeParameters?.map(({ name }) => name).join(', ')
  const name = signature.name + (generics === undefined ? '' : `<${generics}>`)
  return `${name}${parametersOf(signature)}: ${text(signature.type)}`
}

function parametersOf({ parameters = [] }: SignatureReflection): string {
  const shown = parameters.map(({ name, flags, type, defaultValue }) => {
    const isOptional = flags.isOptional || defaultValue !== undefined
    return `${flags.isRest ? '...' : ''}${name}${isOptional ? '?' : ''}: ${text(type)}`
  })
  return `(${shown.join(', ')})`
}

function text(type: SomeType | undefined): string {
  // Of Express's request nobody here asks what its parameters are.
  return (
    String(type)
      .replace(/Request<.*>/, 'Request')
      .replaceAll('"', "'")
      // TypeDoc leaves these out of the type of a function.
      .replaceAll('(args: Args)', '(...args: Args)')
  )
}

function comment(told: Comment | undefined): string {
  const tags = told?.blockTags.map(({ tag, name, content }) => {
    const words = parts(content)
    if (tag === '@defaultValue') return `Default: ${words}.`
    if (tag === '@throws') return `Throws ${words.replace(/^(\w+Error) -/, '`$1`:').replace(/\.?$/, '.')}`
    if (tag === '@param') return `\`${name}\` - ${words}`
    return words
  })
  return told === undefined ? '' : blocks(parts(told.summary), ...(tags ?? []))
}

function parts(content: readonly CommentDisplayPart[]): string {
  return content
    .map(part => (part.kind === 'inline-tag' ? `\`${part.text}\`` : part.text))
    .join('')
    .trim()
}

function code(lines: readonly string[]): string {
  return ['```ts', ...lines, '```'].join('\n')
}

function blocks(...all: string[]): string {
  return all.filter(block => block !== '').join('\n\n')
}

function split<T>(all: readonly T[], test: (one: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter(one => !test(one))]
}

function inSource({ children = [] }: DeclarationReflection): DeclarationReflection[] {
  // What it has of another interface comes last.
  const place = ({ sources, inheritedFrom }: DeclarationReflection): number =>
    (inheritedFrom === undefined ? 0 : 1e6) + (sources?.[0]?.line ?? 0)
  return [...children].sort((a, b) => place(a) - place(b))
}
