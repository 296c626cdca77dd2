const { pass } = require('./gate.cjs')

/** What each Express app here is asked. */
exports.addRoutes = app => {
  app.get('/login', (req, res, next) => {
    req.session.regenerate(error => {
      if (error) return next(error)
      req.session.user = req.query.user
      res.json(req.session)
    })
  })
  app.get('/logout', (req, res, next) => {
    req.session.destroy(error => (error ? next(error) : res.json(null)))
  })
  exports.addEdit(app)
}

exports.addEdit = app => {
  app.get('/edit', async (req, res) => {
    await pass()
    req.session[req.query.key] = true
    res.json(req.session)
  })
  app.get('/session', (req, res) => res.json(req.session))
}
