import { CarryingStore, type SessionStore } from './carrying-store.ts'

/** What of a Fastify instance is needed here. */
interface Instance {
  addHook(name: 'onRequest', hook: (request: object, reply: object, done: () => void) => void): unknown
  decryptSession(sid: string, request: object, ...rest: unknown[]): void
}

/**
 * Makes `@fastify/session` keep the guarantees of a `MemcachedStore`: no update is lost where requests overlap, and
 * no logout is undone. That plugin makes session objects of its own; with this, what the store has read goes
 * along, so that a save is written on the condition that nothing has changed since.
 *
 * ```ts
 * app.register(withRevisions(fastifySession), { store: new MemcachedStore(), secret })
 * ```
 *
 * The plugin is otherwise as it was: the same options, of which `store` is needed, and the same decorators. It fails
 * to register, with a `TypeError`, without a `store`. A session that has ended while a handler held it is not saved
 * again, even after its `reload`, which in `@fastify/session` does not fail. See docs/frameworks.md.
 *
 * @param plugin - what `@fastify/session` exports; of version 11.
 * @throws TypeError - where `plugin` is no function.
 */
export function withRevisions<Args extends unknown[], Result>(
  plugin: (...args: Args) => Result,
): (...args: Args) => Result {
  if (typeof plugin !== 'function') {
    throw new TypeError(`Expected \`plugin\` to be what \`@fastify/session\` exports, got (${typeof plugin})`)
  }
  const carrying = (fastify: Instance, options: { store?: SessionStore }, done: (error?: Error) => void) => {
    if (options.store === undefined) {
      done(new TypeError('Expected the option `store` to be a `MemcachedStore`, got undefined'))
      return
    }
    const store = new CarryingStore(options.store)
    // Before the plugin's own, which sets `request.session`.
    fastify.addHook('onRequest', (request, _reply, next) => {
      store.watch(request)
      next()
    })
    const result = plugin(...([fastify, { ...options, store }, done] as unknown[] as Args))
    const { decryptSession } = fastify
    fastify.decryptSession = (sid, request, ...rest) => {
      store.watch(request)
      decryptSession.call(fastify, sid, request, ...rest)
    }
    return result
  }
  // By these Fastify knows its name, what it depends on, and that it is for the whole instance.
  for (const mark of Object.getOwnPropertySymbols(plugin))
    Reflect.set(carrying, mark, Reflect.get(plugin, mark))
  return carrying as unknown as (...args: Args) => Result
}
