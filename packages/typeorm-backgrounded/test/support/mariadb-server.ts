import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { administer, createMariaDb, type MariaDbAddress } from './mariadb'
import { PrivateServer } from './private-server'
import { requireService } from './require-service'
import { findProgram } from './server-program'

type Entities = NonNullable<DataSourceOptions['entities']>
type MariaDbOptions = Extract<DataSourceOptions, { type: 'mysql' | 'mariadb' }>

export async function requireMariaDbServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'mariadb-install-db and mariadbd commands', async () => {
    program('mariadb-install-db')
    program('mariadbd')
  })
}

/** A MariaDB of a test's own. */
export class MariaDbServer extends PrivateServer {
  private constructor(
    readonly address: MariaDbAddress,
    directory: string,
  ) {
    const network = ['--bind-address=127.0.0.1', `--port=${address.port}`, `--socket=${join(directory, 'socket')}`]
    const size = ['--innodb-buffer-pool-size=32M', '--innodb-log-file-size=16M', '--skip-log-bin']
    // What it forgets when the machine stops is nobody's loss.
    const durability = ['--innodb-flush-log-at-trx-commit=2', '--sync-binlog=0']
    super({
      file: program('mariadbd'),
      flags: [...filesIn(directory), ...network, ...size, ...durability, `--pid-file=${join(directory, 'pid')}`],
      logFile: join(directory, 'mariadb.log'),
      ping: () => administer('SELECT 1', address),
    })
  }

  static async start(): Promise<MariaDbServer> {
    const directory = temporaryDirectory()
    const flags = [...filesIn(directory), '--auth-root-authentication-method=normal', '--skip-test-db']
    await promisify(execFile)(program('mariadb-install-db'), flags)
    const address = { host: '127.0.0.1', port: await freePort(), username: 'root' }
    const server = new MariaDbServer(address, directory)
    await server.restart()
    return server
  }

  /** A database in it; it ends with the server. */
  async create(
    entities: Entities,
    options: Partial<MariaDbOptions> = {},
  ): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
    const { dataSource } = await createMariaDb(entities, options, this.address)
    const drop = async () => {
      if (dataSource.isInitialized) await dataSource.destroy()
    }
    return { dataSource, drop }
  }
}

/**
 * The settings of the machine's own server are none of ours. Nor is its directory for temporary tables: a server that
 * starts deletes all that are there, and one that still works with them crashes.
 */
function filesIn(directory: string): string[] {
  const [data, temporary] = [join(directory, 'data'), join(directory, 'temporary')]
  mkdirSync(temporary, { recursive: true })
  return ['--no-defaults', `--datadir=${data}`, `--tmpdir=${temporary}`, `--user=${userInfo().username}`]
}

function program(name: string): string {
  const { MARIADB_BIN } = process.env
  return findProgram(name, MARIADB_BIN === undefined ? ['/usr/bin', '/usr/sbin'] : [MARIADB_BIN])
}
