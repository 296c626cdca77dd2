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
    jsDocCompatibility: { defaultTag: false },
    logLevel: 'Error',
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('TypeDoc found nothing')
  const exported = (project.children ?? []).flatMap(({ children = [] }) => children)
  const described = exported.sort(inOrder).map(describe)
  return `${blocks('# Reference', INTRODUCTION, ...described)}\n`
}

function inOrder(a: DeclarationReflection, b: DeclarationReflection): number {
  const rank = ({ name }: DeclarationReflection): number =>
    (FIRST.indexOf(name) + FIRST.length + 1) % (FIRST.length + 1)
  return rank(a) - rank(b) || (a.name < b.name ? -1 : 1)
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
  const items = members.map(({ name, type, signatures, comment: own }) => {
    const call = signatures?.[0]
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
  return `(${parameters.map(({ name, flags, type }) => `${name}${flags.isOptional ? '?' : ''}: ${text(type)}`).join(', ')})`
}

function text(type: SomeType | undefined): string {
  // Of Express's request nobody here asks what its parameters are.
  return String(type)
    .replace(/Request<.*>/, 'Request')
    .replaceAll('"', "'")
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
  const place = ({ sources }: DeclarationReflection): number => sources?.[0]?.line ?? 0
  return [...children].sort((a, b) => place(a) - place(b))
}
