import type { DataSource } from 'typeorm'
import { UnsupportedVersionError } from '../errors'
import type { Logger } from '../logger'
import { installedVersion } from './installed-version'

const warned = new WeakMap<DataSource, Set<string>>()

/**
 * Warns that the installed TypeORM lacks a member. Each member is warned about once for a data source, however many parts
 * of the library would use it.
 * @param instead what the library does without it
 */
export function warnOfMissingMember(dataSource: DataSource, logger: Logger, member: string, instead: string): void {
  const known = warned.get(dataSource) ?? new Set()
  warned.set(dataSource, known)
  if (known.has(member)) return
  known.add(member)
  const version = installedVersion('typeorm')
  logger.warn({ member, version }, `TypeORM ${version} has no ${member}: ${instead}`)
}

/** @param fix what makes the library work without it */
export function missingMember(member: string, fix = ''): UnsupportedVersionError {
  const version = installedVersion('typeorm')
  return new UnsupportedVersionError(
    `TypeORM ${version} has no ${member}, which typeorm-backgrounded needs: ${fix}install a version of TypeORM that this version of typeorm-backgrounded supports.`,
  )
}
