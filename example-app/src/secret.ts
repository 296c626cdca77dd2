import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'

/**
 * The secret that session cookies are signed with. In production it comes from the environment and
 * is the same for all processes. For trying out, a random one is made and kept in a file that only
 * its owner can read: with a new one at every start no cookie would be worth anything after a
 * restart, though the sessions are still there.
 */
export async function readSecret(
  env: NodeJS.ProcessEnv,
  file: string,
): Promise<{ secret: string; warning?: string }> {
  const given = env.SESSION_SECRET ?? ''
  if (given !== '') return { secret: given }
  const advice = 'SESSION_SECRET is not set. In production set it to 32 random bytes or more'
  const kept = await readFile(file, 'utf8').catch(() => '')
  if (kept !== '') return { secret: kept, warning: `${advice}; here the random one in ${file} is used.` }
  const secret = randomBytes(32).toString('base64url')
  return writeFile(file, secret, { mode: 0o600, flag: 'wx' }).then(
    () => ({ secret, warning: `${advice}; here a random one was made and kept in ${file}.` }),
    () => ({ secret, warning: `${advice}; here a random one is used that ends with this process.` }),
  )
}
