import { readdir, readFile } from 'node:fs/promises'
import { posix } from 'node:path'

const root = new URL('../../', import.meta.url)

/** A link or an image of a page to something of ours. Paths are from the root of the repository. */
export interface Link {
  readonly from: string
  readonly path: string
  /** The heading, or empty. */
  readonly anchor: string
}

/** Every Markdown page of the repository that people are sent to. */
export async function pages(): Promise<string[]> {
  const docs = await readdir(new URL('docs', root))
  return [
    'README.md',
    'CHANGELOG.md',
    'bench/README.md',
    'bench/RESULTS.md',
    ...docs.map(name => `docs/${name}`),
  ].filter(name => name.endsWith('.md'))
}

/** Its links but for those to other hosts. */
export async function linksOf(page: string): Promise<Link[]> {
  const text = withoutCode(await readFile(new URL(page, root), 'utf8'))
  const targets = [
    ...text.matchAll(/\]\(([^)\s]+)\)/g),
    ...text.matchAll(/<(?:img|a|source)\s[^>]*?(?:src|href|srcset)="([^"]+)"/g),
  ].map(match => match[1] as string)
  return targets.filter(isOurs).map(target => {
    const [path = '', anchor = ''] = target.split('#')
    return { from: page, path: path === '' ? page : posix.join(posix.dirname(page), path), anchor }
  })
}

/** What may follow the `#` of a link to this page, as GitHub makes it of its headings. */
export async function anchorsOf(page: string): Promise<string[]> {
  const text = withoutCode(await readFile(new URL(page, root), 'utf8'), /^```.*?^```$/gms)
  const seen = new Map<string, number>()
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
}

function isOurs(target: string): boolean {
  return !/^[a-z]+:/.test(target)
}

function withoutCode(text: string, code: RegExp = /^```.*?^```$|`[^`\n]*`/gms): string {
  return text.replace(code, '')
}
