import { execFile, execFileSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { administer, createPostgres, type PostgresAddress } from './postgres'
import { requireService } from './require-service'
import { findProgram, versionsIn } from './server-program'
import { ServerProcess } from './server-process'

type Entities = NonNullable<DataSourceOptions['entities']>
type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>

export async function requirePostgresServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'initdb and postgres commands', async () => {
    program('initdb')
    program('postgres')
  })
}

/** A Postgres of a test's own, to be stopped for a time, frozen and restarted. */
export class PostgresServer {
  private readonly process: ServerProcess
  readonly name = 'a Postgres of its own'

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
    this.process = new ServerProcess({
      file: program('postgres'),
      flags: [
        '-D',
        dataIn(directory),
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      options,
      logFile: join(directory, 'postgres.log'),
      ping: () => administer('SELECT 1', address),
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

  /** On the same port, with what it has. */
  async restart(): Promise<void> {
    await this.stop()
    await this.process.start()
  }

  /** As an operator stops it: every connection is told, and ends. */
  async stop(): Promise<void> {
    this.thaw()
    await this.process.end('SIGINT')
  }

  /** As a crash stops it. */
  async kill(): Promise<void> {
    this.thaw()
    await this.process.end('SIGQUIT')
  }

  /** Keeps its connections, and answers on none of them. */
  freeze(): void {
    for (const pid of this.processes()) process.kill(pid, 'SIGSTOP')
  }

  thaw(): void {
    for (const pid of this.processes()) process.kill(pid, 'SIGCONT')
  }

  /** For the end of a test, in whatever state it left the server. */
  async end(): Promise<void> {
    await this.kill()
  }

  /** Itself first, so that it starts no other; each connection has a process of its own. */
  private processes(): number[] {
    const { pid } = this.process
    if (pid === undefined) return []
    const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    const rows = table.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
    return [pid, ...rows.filter(([, parent]) => parent === pid).map(([child]) => child as number)]
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
