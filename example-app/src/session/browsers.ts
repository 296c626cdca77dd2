import type { Browser, SignedIn } from './data.ts'

/** What a browser is called on the page of browser `here`: of two with one name, the later is number 2. */
export function browserLabel(
  browsers: SignedIn['browsers'],
  id: string | undefined,
  here: string | undefined,
): string {
  if (id !== undefined && id === here) return 'this browser'
  const browser = browsers[id ?? '']
  return browser === undefined ? 'another browser' : numbered(browsers, id as string, browser)
}

/** The same where it does not matter whose page it is. */
export function numbered(browsers: SignedIn['browsers'], id: string, { name }: Browser): string {
  const namesakes = Object.keys(browsers).filter(other => browsers[other]?.name === name)
  const number = namesakes.indexOf(id) + 1
  return number > 1 ? `${name} ${number}` : name
}

/** At the start of a sentence. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
