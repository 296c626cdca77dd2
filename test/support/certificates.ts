import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate with its key, as files and as text. */
export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

/** A certificate authority of the tests' own, made with the `openssl` command. */
export class Authority implements Disposable {
  readonly ca: Certificate
  readonly #folder: string

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'certificates-'))
    // A memcached that runs as another user reads them, too.
    chmodSync(this.#folder, 0o755)
    this.ca = this.selfSigned('ca', 'DNS:ca.test')
  }

  /** @param names - subject alternative names: `'DNS:localhost,IP:127.0.0.1'`. */
  selfSigned(name: string, names: string): Certificate {
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(name),
      '-days',
      '2',
      '-out',
      this.#file(name, 'crt'),
      ...san(names),
    )
    return this.#read(name)
  }

  /** One that this authority vouches for. */
  issue(name: string, names: string): Certificate {
    const { certFile, keyFile } = this.ca
    const signer = ['-CA', certFile, '-CAkey', keyFile]
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(name),
      '-days',
      '2',
      '-out',
      this.#file(name, 'crt'),
      ...san(names),
      ...signer,
    )
    return this.#read(name)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #newKey(name: string): string[] {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      this.#file(name, 'key'),
    ]
    return [...key, '-subj', `/CN=${name}`]
  }

  #file(name: string, kind: string): string {
    return join(this.#folder, `${name}.${kind}`)
  }

  #read(name: string): Certificate {
    const certFile = this.#file(name, 'crt')
    const keyFile = this.#file(name, 'key')
    chmodSync(keyFile, 0o644)
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  }

  #openssl(...args: string[]): void {
    const { status, stderr } = spawnSync('openssl', args)
    if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`)
  }
}

function san(names: string): string[] {
  return ['-addext', `subjectAltName=${names}`]
}
