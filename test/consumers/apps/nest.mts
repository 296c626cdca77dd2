import 'reflect-metadata'
import type { Server } from 'node:http'
import { Controller, Get, Module, Query, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request } from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import { pass, tell } from './gate.cjs'

declare module 'express-session' {
  interface SessionData {
    user: string
  }
}

@Controller()
class SessionController {
  @Get('login')
  async login(@Req() req: Request, @Query('user') user: string) {
    await new Promise<void>((resolve, reject) => {
      req.session.regenerate(error => (error ? reject(error) : resolve()))
    })
    req.session.user = user
    return req.session
  }

  @Get('logout')
  async logout(@Req() req: Request) {
    await new Promise<void>((resolve, reject) => {
      req.session.destroy(error => (error ? reject(error) : resolve()))
    })
    return {}
  }

  @Get('edit')
  async edit(@Req() req: Request, @Query('key') key: string) {
    await pass()
    Object.assign(req.session, { [key]: true })
    return req.session
  }

  @Get('session')
  session(@Req() req: Request) {
    return req.session
  }
}

@Module({ controllers: [SessionController] })
class AppModule {}

const app = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ['error'] })
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
await app.listen(0, '127.0.0.1')
tell(app.getHttpServer() as Server)
