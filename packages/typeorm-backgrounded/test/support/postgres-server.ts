import { execFile, execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { administer, createPostgres, type PostgresAddress } from './postgres'
import { PrivateServer } from './private-server'
import { requireService } from './require-service'
import { findProgram, versionsIn } from './server-program'

type Entities = NonNullable<DataSourceOptions['entities']>
type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>

export async function requirePostgresServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'initdb and postgres commands', async () => {
    program('initdb')
    program('postgres')
  })
}

/** A private Postgres of one test. When it is stopped, every connection is notified and ends. */
export class PostgresServer extends PrivateServer {
  private constructor(
    readonly address: PostgresAddress,
    directory: string,
    options: { cwd: string; uid?: number; gid?: number },
  ) {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: address.port,
      unix_socket_directories: '',
      max_connections: 200,
      shared_buffers: '32MB',
      fsync: 'off', // what it forgets when the machine stops is nobody's loss
    }
    super({
      file: program('postgres'),
      flags: [
        ...['-D', dataIn(directory)],
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      options,
      logFile: join(directory, 'postgres.log'),
      ping: () => administer('SELECT 1', address),
      stoppedBy: 'SIGINT',
      killedBy: 'SIGQUIT', // of SIGKILL its children would hear later
    })
  }

  static async start(): Promise<PostgresServer> {
    const directory = temporaryDirectory()
    const owner = ownerOf(directory)
    const options = { cwd: directory, ...owner }
    const flags = ['-D', dataIn(directory), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    await promisify(execFile)(program('initdb'), flags, options)
    const address = { host: '127.0.0.1', port: await freePort(), username: 'postgres' }
    const server = new PostgresServer(address, directory, options)
    await server.restart()
    return server
  }

  /** A database in it; it ends with the server. */
  async create(
    entities: Entities,
    options: Partial<PostgresOptions> = {},
  ): Promise<{ dataSource: DataSource; drop: () => Promise<void> }> {
    const { dataSource } = await createPostgres(entities, options, this.address)
    const drop = async () => {
      if (dataSource.isInitialized) await dataSource.destroy()
    }
    return { dataSource, drop }
  }

  /** Each connection has a process of its own. */
  protected override processes(): number[] {
    const [postmaster] = super.processes()
    if (postmaster === undefined) return []
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    const rows = table.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
    return [postmaster, ...rows.filter(([, parent]) => parent === postmaster).map(([child]) => child as number)]
  }
}

function dataIn(directory: string): string {
  return join(directory, 'data')
}

function program(name: string): string {
  const { POSTGRES_BIN } = process.env
  return findProgram(name, POSTGRES_BIN === undefined ? versionsIn('/usr/lib/postgresql', 'bin') : [POSTGRES_BIN])
}

/** Postgres refuses to be root's: its files and processes are the user's whom its package has made. */
function ownerOf(directory: string): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })))
  chownSync(directory, uid as number, gid as number)
  return { uid, gid }
}
