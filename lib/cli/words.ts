const KB = 1024
/** For what a server does not tell. */
export const NOT_TOLD = 'not told'

/** An error with its cause, which says what the system said. */
export function inWords(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

/**
 * What is wrong with the arguments. `parseArgs` repeats what was typed where it expected nothing, which may be an
 * address with its password, and explains how to begin one with a dash.
 */
export function complaint(error: TypeError & { readonly code?: string }): string {
  const { code, message } = error
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'Unexpected argument: expected options alone'
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    return /^Unknown option '--?[\w-]+'/.exec(message)?.[0] ?? 'Unknown option'
  }
  return message
}

export function count(number: number): string {
  if (Number.isNaN(number)) return NOT_TOLD
  return number.toLocaleString('en')
}

/** "1 item", "1,200 items". */
export function counted(number: number, one: string): string {
  return `${count(number)} ${one}${number === 1 ? '' : 's'}`
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`
}

/** In units of 1,024, as memcached's options have them. */
export function bytes(number: number): string {
  if (Number.isNaN(number)) return NOT_TOLD
  if (number < KB) return `${number} bytes`
  const [unit, size] = number < KB ** 2 ? ['KB', KB] : number < KB ** 3 ? ['MB', KB ** 2] : ['GB', KB ** 3]
  return `${Number((number / (size as number)).toFixed(1))} ${unit}`
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}
