/** What the command line asks for. */
export type Mode = 'app' | 'demo' | 'help'

export const HELP = `npm start                 the example app, with the memcached that is there
npm start -- --demo       two processes of it, and three memcached servers of their own
npm start -- --help       this

Environment:
  PORT                    where to listen; --demo takes the next port, too (3000; 0: any free one)
  HOST                    the address to listen on (127.0.0.1)
  MEMCACHED_SERVERS       such as localhost:11211,localhost:11212; not for --demo
  SESSION_SECRET          signs the cookies (a random one, kept in a file)`

/** @throws Error - with a message for people. */
export function readArguments(args: readonly string[]): Mode {
  const unknown = args.find(arg => !['--demo', '--help', '-h'].includes(arg))
  if (unknown !== undefined) throw new Error(`There is no option ${unknown}. These are known: --demo, --help`)
  if (args.includes('--help') || args.includes('-h')) return 'help'
  return args.includes('--demo') ? 'demo' : 'app'
}
