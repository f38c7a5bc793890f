import type { QueryRunner } from 'typeorm'
import { shared } from '../metadata/registry'
import { depthOf } from '../upstream/typeorm'

/** How deep a test's own transaction is, around everything that the code under test does. */
const tests = shared('test-transactions', () => ({ depths: new WeakMap<QueryRunner, number>(), hasAny: false }))

/**
 * Declares the transaction that `runner` is in now to be the test's own, to be rolled back at its end: code
 * under test counts as outside any transaction, and its savepoints count as transactions.
 */
export function declareTestTransaction(runner: QueryRunner): void {
  tests.hasAny = true // in a process without such tests, only this is checked
  tests.depths.set(runner, depthOf(runner))
}

/** The test's own transaction is still open on this runner. */
export function isTestTransactionOpen(runner: QueryRunner): boolean {
  return tests.depths.has(runner) && runner.isTransactionActive && !runner.isReleased
}

/** A new transaction has begun on this runner. */
export function forgetTestTransaction(runner: QueryRunner): void {
  if (tests.hasAny) tests.depths.delete(runner)
}

function baseDepth(runner: QueryRunner): number {
  return tests.hasAny ? (tests.depths.get(runner) ?? 0) : 0
}

/** Whether the runner is in a transaction of the code under test. After an edge: whether there is still one around. */
export function isInside(runner: QueryRunner): boolean {
  return runner.isTransactionActive && depthOf(runner) > baseDepth(runner)
}
