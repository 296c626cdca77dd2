/** Holds requests until the test that started this app lets them go: so an overlap is certain. */
let held = []

exports.pass = () =>
  new Promise(resolve => {
    held.push(resolve)
    process.send({ waiting: held.length })
  })

process.on('message', () => {
  const free = held
  held = []
  for (const resolve of free) resolve()
})

process.on('disconnect', () => process.exit())

/** Tells where a server listens. */
exports.tell = server => process.send({ url: `http://127.0.0.1:${server.address().port}` })
