import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
  type ViewportSize,
} from 'playwright-core'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]
const LOOKS = {
  light: { colorScheme: 'light', forcedColors: 'none' },
  dark: { colorScheme: 'dark', forcedColors: 'none' },
  'forced colours': { colorScheme: 'dark', forcedColors: 'active' },
} as const
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS })
}

/** Somebody at a browser, with what the browser complains about. */
export class Visitor {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors on the console, but for those that begin while `expectTrouble` is running. */
  readonly errors: string[] = []
  #trouble = false

  private constructor(context: BrowserContext, page: Page) {
    this.context = context
    this.page = page
    page.on('console', message => {
      if (message.type() === 'error' || message.type() === 'warning') this.#note(message.text())
    })
    page.on('pageerror', error => this.#note(String(error)))
  }

  static async arrive(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
    context.setDefaultTimeout(Number(process.env.PATIENCE ?? 20_000))
    return new Visitor(context, await context.newPage())
  }

  #note(text: string): void {
    if (!this.#trouble) this.errors.push(text)
  }

  /** A browser reports failed requests as errors: an outage must cause some. */
  async expectTrouble(during: () => Promise<void>): Promise<void> {
    this.#trouble = true
    await during()
    this.#trouble = false
  }

  async signIn(url: string, name: string): Promise<void> {
    await this.page.goto(url)
    await this.page.getByLabel('What shall we call you?').fill(name)
    await this.page.getByRole('button', { name: 'Sign in' }).click()
    await this.heading('Session data').waitFor()
  }

  /** Fills in the form for a key and a value, and sends it. */
  async put(key: string, json: string): Promise<void> {
    await this.page.getByLabel('Key', { exact: true }).fill(key)
    await this.page.getByLabel('Value, as JSON').fill(json)
    await this.press('add')
  }

  async press(_button: 'add'): Promise<void> {
    await this.page.getByRole('button', { name: 'Add', exact: true }).click()
  }

  async putIn(key: string, json: string): Promise<void> {
    await this.put(key, json)
    await this.row(key).waitFor()
  }

  /** The row of a key that is not open for editing. */
  row(key: string): ReturnType<Page['locator']> {
    return this.page
      .locator('#values [data-edit]')
      .filter({ has: this.page.locator(`.key:text-is("${key}")`) })
  }

  async sees(key: string, value: string): Promise<void> {
    await this.row(key).filter({ hasText: value }).waitFor()
  }

  heading(name: string): ReturnType<Page['locator']> {
    return this.page.getByRole('heading', { name })
  }

  async code(): Promise<string> {
    await this.page.locator('#share-button').click()
    return (await this.page.locator('.short-code strong').textContent()) ?? ''
  }

  async join(url: string, code: string): Promise<void> {
    await this.page.goto(`${url}/join`)
    await this.page.getByLabel('Code').fill(code)
    await this.page.getByRole('button', { name: 'Join' }).click()
  }

  /** What axe-core finds on this page, in light, in dark and in the visitor's own colours, at some sizes. */
  async barriers(
    sizes: readonly ViewportSize[] = [this.page.viewportSize() as ViewportSize],
  ): Promise<string[]> {
    const found: string[] = []
    const before = this.page.viewportSize() as ViewportSize
    for (const size of sizes) {
      await this.page.setViewportSize(size)
      for (const [name, look] of Object.entries(LOOKS)) {
        await this.page.emulateMedia({ ...look, reducedMotion: 'reduce' })
        // As a debugger would: the page's own policy lets no foreign script in.
        await this.page.evaluate(await readFile(AXE, 'utf8'))
        const { violations } = await this.page.evaluate<AxeResults>(
          "axe.run({ resultTypes: ['violations'] })",
        )
        for (const { id, nodes } of violations)
          found.push(
            `${size.width} ${name}: ${id}: ${nodes.map(node => node.html.slice(0, 150)).join(' | ')}`,
          )
      }
    }
    await this.page.emulateMedia({ colorScheme: null, forcedColors: null, reducedMotion: null })
    await this.page.setViewportSize(before)
    return found
  }
}
