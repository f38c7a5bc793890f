// A wrapper of one's own that sends a copy of each query, with a comment in its text.
const { Client } = require('pg')

const { query } = Client.prototype
Client.prototype.query = function (config, ...rest) {
  return query.call(this, withComment(config), ...rest)
}

function withComment(config) {
  if (typeof config === 'string') return `${config} /* copied */`
  if (typeof config?.submit === 'function' || typeof config?.text !== 'string') return config
  return { ...config, text: `${config.text} /* copied */` }
}
