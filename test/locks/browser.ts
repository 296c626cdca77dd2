import { Agent, type ClientRequest, get, type IncomingHttpHeaders } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 256 })

export interface Page {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: Record<string, unknown>
}

/** One visitor: keeps the cookie that it is given. */
export class Browser {
  cookie = ''
  /** The last request, to be aborted. */
  request!: ClientRequest

  open(url: string): Promise<Page> {
    return new Promise((resolve, reject) => {
      const headers = this.cookie === '' ? {} : { cookie: this.cookie }
      this.request = get(url, { agent, headers }, async response => {
        const cookie = response.headers['set-cookie']?.[0]?.split(';')[0]
        if (cookie !== undefined) this.cookie = cookie
        let text = ''
        try {
          for await (const chunk of response.setEncoding('utf8')) text += chunk
          const json = text.startsWith('{') ? JSON.parse(text) : {}
          resolve({ status: response.statusCode as number, headers: response.headers, text, json })
        } catch (error) {
          reject(error)
        }
      })
      this.request.on('error', reject)
    })
  }

  /** The session's id, as express-session signs it into the cookie. */
  get sid(): string {
    return decodeURIComponent(this.cookie.split('=')[1] as string)
      .slice('s:'.length)
      .split('.')[0] as string
  }
}
