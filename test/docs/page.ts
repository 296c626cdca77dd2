import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'

/** A page of the documentation, with the code that it shows. */
export class Page {
  readonly text: string
  readonly #code: readonly { readonly language: string; readonly code: string }[]
  readonly #run: Set<string> = new Set()

  private constructor(text: string) {
    this.text = text
    const blocks = text.matchAll(/^```(\w+)\n(.*?)^```$/gms)
    this.#code = [...blocks].map(([, language = '', code = '']) => ({ language, code }))
  }

  /** @param name - from the root of the repository. */
  static async read(name: string): Promise<Page> {
    return new Page(await readFile(new URL(`../../${name}`, import.meta.url), 'utf8'))
  }

  /** The one block of this language that has this in it. */
  snippet(language: string, part: string): string {
    const [block, ...others] = this.#code.filter(one => one.language === language && one.code.includes(part))
    expect(block, `${language} with ${part}`).toBeDefined()
    expect(others).toEqual([])
    const { code } = block as { code: string }
    this.#run.add(code)
    return code
  }

  /** What nobody has asked for, of the languages in which a test can run it. */
  get leftOut(): string[] {
    return this.#code
      .filter(({ language, code }) => /^(js|ts|diff)$/.test(language) && !this.#run.has(code))
      .map(({ code }) => code)
  }
}
