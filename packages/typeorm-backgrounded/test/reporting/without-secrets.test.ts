import { expect } from 'chai'
import { withoutSecrets } from '../../src/reporting/without-secrets'

describe('a text without its secrets', () => {
  const hidden = [
    'redis://user:hunter2@127.0.0.1:6379/0',
    'redis://:hunter2@host',
    'redis//user:hunter2@host',
    'redis:user:hunter2@host',
    'user:hunter2@host:6379',
    'http://user:hunter2@host',
    'redis://user:hunter2/#?@x@host',
    'connect ENOENT /user:hunter2@host',
    'BullHandler: redis is "redis://user:my hunter2 is@host": give a URL',
    '("postgres://user:hunter2@host/db")',
    'failed: {"host":"x","password":"hunter2","port":1}',
    "{ password: 'hunter2', user: 'x' }",
    'host=x user=y password=hunter2 dbname=z',
    'PASSWORD = hunter2;',
    'passwd: hunter2',
    'Authorization: hunter2',
    "token='a\\'hunter2'",
    'Password = `a hunter2`',
    'secretAccessKey=hunter2',
    'X-Api-Key: hunter2',
    'private_key: hunter2',
    'credentials: hunter2',
    '{\\"password\\":\\"hunter2\\"}',
    'Authorization: Basic hunter2',
    'authorization = "Bearer hunter2"',
    'sent Bearer hunter2.hunter2.hunter2',
    'ERR invalid AUTH default hunter2',
    'AUTH hunter2',
    'connect to postgres://user:my hunter2@host/db failed',
    'mysql://root:a"hunter2@host/db',
    "redis://:it's hunter2@ss@host:6379",
  ]
  for (const text of hidden) {
    it(`hides it in ${text}`, () => {
      expect(withoutSecrets(text)).to.include('***').and.not.include('hunter2')
    })
  }

  it('still says where something is', () => {
    expect(withoutSecrets('connect to redis://user:hunter2@cache.local:6379/0 failed')).to.equal(
      'connect to redis://***@cache.local:6379/0 failed',
    )
  })

  it('still names the scheme of a header', () => {
    expect(withoutSecrets('Authorization: Basic hunter2, Host: x')).to.equal('Authorization: Basic ***, Host: x')
  })

  const shown = [
    'ERR AUTH <password> called without any password configured for the default user',
    'NOAUTH Authentication required.',
    'the bearer of this message',
    'GET http://localhost:3000/ failed, ask bob@example.com',
    'GET http://localhost:3000 failed, ask bob@example.com',
    'see http://wiki: ask bob@example.com',
    'Duplicate entry alice@example.com',
    "Access denied for user 'root'@'localhost' (using password: YES)",
    'password authentication failed for user "x"',
    "Cannot find module 'x' imported from file:///app/node_modules/.pnpm/typeorm@1.1.1/index.js",
    'C:\\app\\node_modules\\@scope\\x.js:1:2',
    'connect ECONNREFUSED 127.0.0.1:5432',
    'a: b, c = d',
  ]
  for (const text of shown) it(`leaves alone ${text}`, () => expect(withoutSecrets(text)).to.equal(text))

  it('takes milliseconds for any text of the greatest length', () => {
    for (const piece of [
      ':',
      ',:',
      '@',
      ':@',
      '"',
      "':",
      'password',
      'password=',
      'password="',
      'password ',
      '/:',
      ' :',
      'a.',
      'a://',
      'a://b:',
      'AUTH ',
      'bearer ',
      'authorization: basic ',
      'password:\\"',
      '\\"',
    ]) {
      const start = performance.now()
      withoutSecrets(piece.repeat(20_000 / piece.length) + '@')
      withoutSecrets(`"${piece.repeat(20_000 / piece.length)}`)
      expect(performance.now() - start, piece).to.be.below(500)
    }
  })
})
