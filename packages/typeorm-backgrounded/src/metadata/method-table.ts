import type { DataSource, EntityMetadata } from 'typeorm'
import { DuplicateEntityNameError, InvalidDeclarationError, InvalidOptionError } from '../errors'
import { checkMethodOptions, type MethodOptions, type ResolvedMethodOptions } from './options'
import type { RowEvent, AfterCommitEvent } from './after-commit-options'
import { buildNameOf, isMangledProperty, sourceOf } from './build-names'
import { generatedName, isGenerated } from './generated-method'
import { declarationOf, declaredClasses, lineage, marksOf, type Class, type MethodDeclaration } from './registry'

/** A method that a job may name, with the options that hold in this process. */
export interface MarkedMethod {
  readonly entity: MarkedEntity
  readonly property: string
  /** What jobs call it; `property` unless the options name it. */
  readonly name: string
  readonly isStatic: boolean
  readonly options: ResolvedMethodOptions
  readonly afterCommit?: {
    readonly on: ReadonlySet<RowEvent>
    readonly when?: (entity: object, event: AfterCommitEvent) => boolean
  }
}

/** An entity of one data source as jobs see it. */
export interface MarkedEntity {
  /** What jobs call it. */
  readonly name: string
  readonly target: Class
  readonly metadata: EntityMetadata
  /** How its name came about, where the next build may give it to another class. */
  readonly buildName?: string
  /** By property. */
  readonly methods: ReadonlyMap<string, MarkedMethod>
  readonly statics: ReadonlyMap<string, MarkedMethod>
}

export interface MethodTableOptions {
  readonly defaults?: MethodOptions
  /** Adjusts a method's options to the environment. */
  readonly configure?: (method: { entity: string; method: string; options: MethodOptions }) => MethodOptions
}

const DEFAULTS: ResolvedMethodOptions = {
  queue: 'default',
  priority: 0,
  attempts: 10,
  onMissing: 'discard',
  withDeleted: false,
}

/**
 * What the jobs of one data source may name. Lookups by a stored name go through maps only, so that no name
 * reaches a prototype.
 */
export class MethodTable {
  private readonly byClass = new Map<unknown, MarkedEntity>()
  private readonly byName = new Map<string, MarkedEntity[]>()

  /**
   * @throws InvalidDeclarationError, DuplicateEntityNameError, InvalidOptionError for marks that cannot work
   */
  constructor(dataSource: DataSource, options: MethodTableOptions = {}) {
    for (const metadata of dataSource.entityMetadatas) {
      if (typeof metadata.target === 'function') this.add(metadata.target as unknown as Class, metadata, options)
    }
    for (const entities of this.byName.values()) checkUniqueName(entities)
    checkListedClasses(dataSource, [...this.byClass.values()])
  }

  /** Every entity with at least one marked method. */
  get marked(): MarkedEntity[] {
    return [...this.byClass.values()].filter(isMarked)
  }

  /** The queues that marked methods name; a call may name another one. */
  get queues(): ReadonlySet<string> {
    const methods = this.marked.flatMap((entity) => [...entity.methods.values(), ...entity.statics.values()])
    return new Set(methods.map(({ options }) => options.queue))
  }

  /** The entity of a class, or of its nearest ancestor that is one. */
  ofClass(target: Class): MarkedEntity | undefined {
    const own = this.byClass.get(target)
    if (own) return own
    for (const ancestor of lineage(target)) {
      const entity = this.byClass.get(ancestor)
      if (entity) return entity
    }
    return undefined
  }

  /** The entity of a stored name. */
  named(name: string): MarkedEntity | undefined {
    const entities = this.byName.get(name) ?? []
    return entities.find(isMarked) ?? entities[0]
  }

  /** The method that a stored job names; `hasKey` tells instance from static. */
  find(entity: string, method: string, hasKey: boolean): MarkedMethod | undefined {
    const marked = this.named(entity)
    if (!marked) return undefined
    for (const each of (hasKey ? marked.methods : marked.statics).values()) if (each.name === method) return each
    return undefined
  }

  private add(target: Class, metadata: EntityMetadata, options: MethodTableOptions): void {
    const methods = new Map<string, MarkedMethod>()
    const statics = new Map<string, MarkedMethod>()
    const given = declarationOf(target)?.name
    const buildName = given === undefined ? buildNameOf(target.name, sourceOf(target)) : undefined
    const name = given ?? target.name
    const entity: MarkedEntity = { name, target, metadata, buildName, methods, statics }
    for (const mark of marksOf(target)) {
      checkMark(target, mark)
      ;(mark.isStatic ? statics : methods).set(mark.property, markedMethod(entity, mark, options))
    }
    if (isMarked(entity)) checkStableName(entity)
    checkPropertyNames(entity)
    checkMethodNames(entity)
    checkShadows(entity)
    this.byClass.set(target, entity)
    this.byName.set(name, [...(this.byName.get(name) ?? []), entity])
  }
}

function isMarked(entity: MarkedEntity): boolean {
  return entity.methods.size + entity.statics.size > 0
}

function markedMethod(
  entity: MarkedEntity,
  mark: MethodDeclaration,
  { defaults, configure }: MethodTableOptions,
): MarkedMethod {
  const subject = `${entity.name}.${mark.property}`
  let options: MethodOptions = { ...defaults, ...definedOnly(mark.options) }
  if (configure) {
    const configured = configure({ entity: entity.name, method: mark.property, options })
    if (typeof configured !== 'object' || configured === null) {
      throw new InvalidOptionError(
        `${subject}: configure returned ${String(configured)}: return the options, changed or not.`,
      )
    }
    options = configured
  }
  checkMethodOptions(options, subject)
  return {
    entity,
    property: mark.property,
    name: options.name ?? mark.property,
    isStatic: mark.isStatic,
    options: { ...DEFAULTS, ...definedOnly(options) },
    afterCommit: mark.afterCommit && {
      on: new Set([mark.afterCommit.on ?? 'insert'].flat() as RowEvent[]),
      when: mark.afterCommit.when,
    },
  }
}

function definedOnly(options: MethodOptions): MethodOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as MethodOptions
}

function checkMark(target: Class, { property, isStatic }: MethodDeclaration): void {
  const holder = (isStatic ? target : target.prototype) as Record<string, unknown>
  if (typeof holder[property] === 'function') return
  throw new InvalidDeclarationError(
    `@Backgrounded names ${target.name}.${property}, and there is no such ${isStatic ? 'static ' : ''}method: correct the name.`,
  )
}

/** @throws InvalidDeclarationError for an entity whose name in stored jobs may be another class's in the next build */
export function checkStableName({ name, buildName, metadata }: MarkedEntity): void {
  if (buildName === undefined) return
  throw new InvalidDeclarationError(
    `The class of the table ${metadata.tableName} has the name "${name}", and ${buildName}: the next build may give it to ` +
      `another class, and stored jobs would run on its rows. Name the entity with @BackgroundedEntity({ name: 'Order' }) (its ` +
      `name in the source keeps jobs valid that wait already).`,
  )
}

function checkPropertyNames({ name, target, methods, statics }: MarkedEntity): void {
  for (const method of [...methods.values(), ...statics.values()]) {
    if (method.name !== method.property || !isMangledProperty(method.property, sourceOf(target))) continue
    throw new InvalidDeclarationError(
      `The method ${name}.${method.property} seems to have been named by a minifier, and the next build may give the name to ` +
        `another method: name it in stored jobs with @Backgrounded({ name: 'cancel' }).`,
    )
  }
}

function checkUniqueName(entities: readonly MarkedEntity[]): void {
  const marked = entities.filter(isMarked)
  if (marked.length > 1) throw new DuplicateEntityNameError((marked[0] as MarkedEntity).name)
}

function checkMethodNames(entity: MarkedEntity): void {
  for (const group of [entity.methods, entity.statics]) {
    const seen = new Set<string>()
    for (const { name } of group.values()) {
      if (seen.has(name))
        throw new InvalidDeclarationError(
          `Two methods of ${entity.name} are both stored as "${name}": name one of them otherwise.`,
        )
      seen.add(name)
    }
  }
}

/** A field `x!: …` instead of `declare x: …` becomes an own property that hides the generated method. */
function checkShadows(entity: MarkedEntity): void {
  if (!isMarked(entity)) return
  const instance = newInstance(entity.target)
  for (const { property } of entity.methods.values()) {
    const name = generatedName(property)
    if (instance && Object.hasOwn(instance, name)) throw shadowed(entity, name, '')
  }
  for (const { property } of entity.statics.values()) {
    const name = generatedName(property)
    if (!isGenerated((entity.target as unknown as Record<string, unknown>)[name]))
      throw shadowed(entity, name, 'static ')
  }
}

function shadowed(entity: MarkedEntity, name: string, kind: string): InvalidDeclarationError {
  return new InvalidDeclarationError(
    `${entity.target.name} has a ${kind}field "${name}" that hides the generated method: ` +
      `write "declare ${kind}${name}: InBackground<…>" instead of "${kind}${name}!: …".`,
  )
}

function newInstance(target: Class): object | undefined {
  try {
    return new (target as unknown as new () => object)()
  } catch {
    return undefined // an abstract class, or a constructor that needs arguments
  }
}

/** A class among the data source's entities that has marks, but that is neither an entity nor what entities extend. */
function checkListedClasses(dataSource: DataSource, entities: readonly MarkedEntity[]): void {
  const listed = dataSource.options.entities ?? []
  const targets = new Set<unknown>(Array.isArray(listed) ? listed : Object.values(listed))
  const known = new Set<unknown>(entities.flatMap(({ target }) => [...lineage(target)]))
  for (const target of declaredClasses()) {
    if (!targets.has(target) || known.has(target)) continue
    throw new InvalidDeclarationError(
      `${(target as Class).name} has @Backgrounded methods, but is no entity, and no entity extends it: ` +
        `put @Entity() on it, or take it out of "entities".`,
    )
  }
}
