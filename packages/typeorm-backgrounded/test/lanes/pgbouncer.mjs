import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pgBouncerCommand } from './services.mjs'

const { PGHOST = '127.0.0.1', PGPORT = '5432', PGUSER = 'postgres', PGPASSWORD = 'postgres' } = process.env

/**
 * A PgBouncer in transaction mode, in front of the tests' Postgres. With `discardsAll` it sends DISCARD ALL after each
 * transaction.
 *
 * @returns {Promise<{ port: number, stop(): Promise<void> }>}
 */
export async function startPgBouncer(directory, { discardsAll }) {
  const port = await freePort()
  const file = join(directory, 'pgbouncer.ini')
  mkdirSync(directory, { recursive: true })
  writeFileSync(file, settings(port, discardsAll))
  const child = spawn(pgBouncerCommand(), [file], ownerOf(directory, file))
  let said = ''
  child.stderr.on('data', (text) => (said += text))
  process.once('exit', () => child.kill())
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`pgbouncer did not start:\n${said}`)
    await sleep(50)
  }
  return {
    port,
    async stop() {
      const exited = once(child, 'exit')
      child.kill('SIGINT')
      await exited
    },
  }
}

function settings(port, discardsAll) {
  return `[databases]
* = host=${PGHOST} port=${PGPORT} user=${PGUSER} password=${PGPASSWORD}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
server_reset_query_always = ${Number(discardsAll)}
default_pool_size = 10
server_idle_timeout = 1
`
}

/** PgBouncer refuses to run as root. */
function ownerOf(...paths) {
  if (process.getuid() !== 0) return {}
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' })))
  for (const path of paths) chownSync(path, uid, gid)
  return { uid, gid }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('close', () => socket.destroy())
    socket.on('connect', () => socket.end())
  })
}
