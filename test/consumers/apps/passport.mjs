import express from 'express'
import session from 'express-session'
import { MemcachedStore } from 'express-session-memcached'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { tell } from './gate.cjs'
import { addEdit } from './routes.cjs'

passport.use(
  new Strategy((username, password, done) => done(null, password === 'right' ? { id: username } : false)),
)
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

const app = express()
const store = new MemcachedStore({ prefix: process.env.PREFIX, timeout: 5000 })
app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
app.use(passport.session())
// Passport takes a login from the query, too.
app.get('/login', passport.authenticate('local'), (req, res) => res.json(req.session))
app.get('/logout', (req, res, next) => req.logout(error => (error ? next(error) : res.json(null))))
app.get('/user', (req, res) => res.json(req.user ?? null))
addEdit(app)
const server = app.listen(0, '127.0.0.1', () => tell(server))
