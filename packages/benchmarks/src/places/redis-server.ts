import { execFile, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Redis from 'ioredis'

/** What every private Redis is started with. */
export const REDIS_SETTINGS = ['--save', '', '--appendonly', 'no']

export interface RedisServer {
  readonly host: string
  readonly port: number
  end(): Promise<void>
}

/** A Redis of one place's own, without persistence. */
export async function startRedis(): Promise<RedisServer> {
  const host = '127.0.0.1'
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'backgrounded-bench-redis-'))
  const flags = ['--bind', host, '--port', String(port), '--dir', directory, ...REDIS_SETTINGS]
  // In a group of its own: Ctrl-C is for the benchmark, which then ends it.
  const child = spawn('redis-server', flags, { stdio: 'ignore', detached: true })
  await once(child, 'spawn')
  child.unref()
  const end = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.ref()
      child.kill('SIGKILL')
      await exited
    }
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await answers(host, port)
  } catch (error) {
    await end()
    throw error
  }
  return { host, port, end }
}

export async function redisVersion(): Promise<string> {
  const { stdout } = await promisify(execFile)('redis-server', ['--version'])
  return /v=(\S+)/.exec(stdout)?.[1] ?? stdout.trim()
}

/** Bytes that Redis uses. */
export async function usedMemory(host: string, port: number): Promise<number> {
  const redis = new Redis({ host, port })
  try {
    return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  } finally {
    redis.disconnect()
  }
}

async function answers(host: string, port: number): Promise<void> {
  const redis = new Redis({ host, port, maxRetriesPerRequest: 100, retryStrategy: () => 50 })
  redis.on('error', () => {})
  try {
    await redis.ping()
  } finally {
    redis.disconnect()
  }
}

/** Below those that the system hands out to clients. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
      return port
    } catch {
      continue
    } finally {
      server.close()
    }
  }
}
