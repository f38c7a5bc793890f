import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { mariaDb, postgres, sqliteFile, type TestStore } from '../support/stores'
import { columnsOf, type DatabaseName } from './fixtures/key-columns'

const ZONES = ['UTC', 'Asia/Tokyo', 'America/New_York']
const STORES: Record<DatabaseName, TestStore> = { Postgres: postgres, MariaDB: mariaDb, SQLite: sqliteFile }
const program = join(__dirname, 'fixtures', 'key-columns.js')

for (const [name, store] of Object.entries(STORES) as [DatabaseName, TestStore][]) {
  for (const zone of ZONES) {
    for (const options of name === 'MariaDB'
      ? [{}, { timezone: 'Z', dateStrings: ['DATE'] }, { timezone: '+09:00' }]
      : [{}]) {
      describe(`keys on ${name} in ${zone} ${Object.values(options).join(' ')}`, () => {
        let notes: Record<string, Record<string, string[]>>

        before(async function () {
          await store.require(this)
          const { dataSource, drop } = await store.create([])
          const connection = JSON.stringify({ ...dataSource.options, entities: undefined, ...options })
          const env = { ...process.env, TZ: zone }
          try {
            const { stdout } = await promisify(execFile)(process.execPath, [program, name, connection], { env })
            notes = JSON.parse(stdout) as typeof notes
          } finally {
            await drop()
          }
        })

        for (const { title, values } of columnsOf(name)) {
          it(`find their rows and no others: ${title}`, () => {
            const all = values.map((_, index) => `row ${index}`)
            const { loaded, ['loaded, one by one']: loadedOneByOne, ...others } = notes[title] ?? {}
            for (const each of Object.values(others)) expect(each).to.deep.equal(all)
            // With another zone than the process's, TypeORM shows another day than the row has.
            if ('timezone' in options && !('dateStrings' in options) && title.startsWith('a day')) return
            expect([loaded, loadedOneByOne]).to.deep.equal([all, all])
          })
        }
      })
    }
  }
}
