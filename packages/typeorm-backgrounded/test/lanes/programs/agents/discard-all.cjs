// A pool that sweeps each session when it gets a connection back, as a careful application or a pooler does.
const { Pool } = require('pg')

const { connect } = Pool.prototype
Pool.prototype.connect = function (callback) {
  if (!callback) return connect.call(this)
  return connect.call(this, (error, client, release) => {
    if (error) return callback(error, client, release)
    callback(undefined, client, (destroy) => {
      if (destroy) return release(destroy)
      client.query('DISCARD ALL', (failure) => release(failure))
    })
  })
}
