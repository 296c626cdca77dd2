// A visitor: requests to an app, with a cookie.

import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {string} body
 * @property {string | undefined} cookie that was set
 */

/**
 * @param {number} port @param {string} path @param {string} [cookie] @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export function visit(port, path, cookie, signal) {
  return new Promise((resolve, reject) => {
    const headers = cookie === undefined ? {} : { cookie }
    const options = {
      host: '127.0.0.1',
      port,
      path,
      agent,
      headers,
      ...(signal === undefined ? {} : { signal }),
    }
    request(options, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        body += chunk
      })
      response.once('error', reject)
      response.once('end', () => {
        const set = response.headers['set-cookie']?.[0]
        resolve({ status: response.statusCode ?? 0, body, cookie: set?.split(';')[0] })
      })
    })
      .once('error', reject)
      .end()
  })
}

/** Logs in, and gives the cookie. @param {number} port @returns {Promise<string>} */
export async function login(port) {
  const { status, cookie } = await visit(port, '/login')
  if (status !== 200) throw new Error(`Login was answered with ${status}`)
  return cookie ?? ''
}
