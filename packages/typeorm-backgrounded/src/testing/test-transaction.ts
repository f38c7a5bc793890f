import type { QueryRunner } from 'typeorm'
import { useTestRunner } from '../plugin/attach'
import { declareTestTransaction } from '../dispatch/test-transactions'
import { InvalidOptionError } from '../errors'

/**
 * For tests that run inside a transaction and roll it back at the end. Until that transaction ends, the code under test
 * counts as outside of any transaction, its own transactions count as committed when their savepoint is released, and jobs
 * load their rows through this runner.
 *
 * @example
 * await queryRunner.startTransaction()
 * insideTestTransaction(queryRunner)
 */
export function insideTestTransaction(queryRunner: QueryRunner): void {
  if (!queryRunner.isTransactionActive) {
    throw new InvalidOptionError(
      'insideTestTransaction needs an open transaction: await queryRunner.startTransaction() first.',
    )
  }
  useTestRunner(queryRunner.manager.dataSource ?? queryRunner.manager.connection, queryRunner)
  declareTestTransaction(queryRunner)
}
