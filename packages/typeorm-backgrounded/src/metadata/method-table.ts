import { types } from 'node:util'
import type { DataSource, EntityMetadata } from 'typeorm'
import { DuplicateEntityNameError, InvalidDeclarationError, InvalidOptionError } from '../errors'
import { described, isPlainObject } from '../job/known-options'
import { checkMethodOptions, type MethodOptions, type ResolvedMethodOptions } from './options'
import type { RowEvent, AfterCommitEvent } from './after-commit-options'
import { buildNameOf, isMangledProperty, sourceOf } from './build-names'
import { generatedName, isGenerated } from './generated-method'
import { declarationOf, declaredClasses, lineage, marksOf, type Class, type MethodDeclaration } from './registry'

/** A method that a job may name, with the options that apply in this process. */
export interface MarkedMethod {
  readonly entity: MarkedEntity
  readonly property: string
  /** Its name in jobs: the option `name`, or else `property`. */
  readonly name: string
  readonly isStatic: boolean
  readonly options: ResolvedMethodOptions
  readonly afterCommit?: {
    readonly on: ReadonlySet<RowEvent>
    readonly when?: (entity: object, event: AfterCommitEvent) => boolean
  }
}

/** An entity of one data source, with its marked methods. */
export interface MarkedEntity {
  /** Its name in jobs. */
  readonly name: string
  readonly target: Class
  readonly metadata: EntityMetadata
  /** Set if the next build may give this name to another class; says where the name seems to come from. */
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
 * The entities and methods that the jobs of one data source may name. Stored names are looked up in maps, never as
 * properties, so that no name can reach a prototype.
 */
export class MethodTable {
  private readonly byClass = new Map<unknown, MarkedEntity>()
  private readonly byName = new Map<string, MarkedEntity[]>()

  /**
   * @throws InvalidDeclarationError, DuplicateEntityNameError, InvalidOptionError for decorators that cannot work
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

  /** The queues of all marked methods; a call may name another one. */
  get queues(): ReadonlySet<string> {
    const methods = this.marked.flatMap((entity) => [...entity.methods.values(), ...entity.statics.values()])
    return new Set(methods.map(({ options }) => options.queue))
  }

  /** The entity of this class, or of its nearest ancestor that is an entity. */
  ofClass(target: Class): MarkedEntity | undefined {
    const own = this.byClass.get(target)
    if (own) return own
    for (const ancestor of lineage(target)) {
      const entity = this.byClass.get(ancestor)
      if (entity) return entity
    }
    return undefined
  }

  /** The entity with this name in jobs. */
  named(name: string): MarkedEntity | undefined {
    const entities = this.byName.get(name) ?? []
    return entities.find(isMarked) ?? entities[0]
  }

  /** The method that a stored job names: an instance method if the job has a key, otherwise a static one. */
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
    const configured: unknown = configure({ entity: entity.name, method: mark.property, options })
    if (types.isPromise(configured)) configured.catch(() => {}) // the answer is not awaited
    if (!isPlainObject(configured)) {
      throw new InvalidOptionError(
        `${subject}: configure returned ${described(configured)}: return at once the options that it was given, or a changed copy.`,
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
    `@Backgrounded names ${target.name}.${property}, but there is no such ${isStatic ? 'static ' : ''}method: correct the name.`,
  )
}

/** @throws InvalidDeclarationError for an entity whose name the next build may give to another class */
export function checkStableName({ name, buildName, metadata }: MarkedEntity): void {
  if (buildName === undefined) return
  throw new InvalidDeclarationError(
    `The class of the table ${metadata.tableName} is named "${name}", and ${buildName}. The next build may give that name to ` +
      `another class, and stored jobs would then run on its rows. Name the entity with @BackgroundedEntity({ name: 'Order' }); ` +
      `the class's name in the source keeps waiting jobs valid.`,
  )
}

function checkPropertyNames({ name, target, methods, statics }: MarkedEntity): void {
  for (const method of [...methods.values(), ...statics.values()]) {
    if (method.name !== method.property || !isMangledProperty(method.property, sourceOf(target))) continue
    throw new InvalidDeclarationError(
      `The method ${name}.${method.property} seems to have been named by a minifier, and the next build may give that name to ` +
        `another method: give it a stable name in stored jobs with @Backgrounded({ name: 'cancel' }).`,
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
          `Two methods of ${entity.name} are both stored as "${name}": give one of them another name.`,
        )
      seen.add(name)
    }
  }
}

/** A field that is written `x!: …` instead of `declare x: …` becomes an own property, which hides the generated method. */
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

/** Finds a listed class with marked methods that is not an entity, and that no entity extends. */
function checkListedClasses(dataSource: DataSource, entities: readonly MarkedEntity[]): void {
  const listed = dataSource.options.entities ?? []
  const targets = new Set<unknown>(Array.isArray(listed) ? listed : Object.values(listed))
  const known = new Set<unknown>(entities.flatMap(({ target }) => [...lineage(target)]))
  for (const target of declaredClasses()) {
    if (!targets.has(target) || known.has(target)) continue
    throw new InvalidDeclarationError(
      `${(target as Class).name} has @Backgrounded methods, but it is not an entity, and no entity extends it: ` +
        `put @Entity() on it, or take it out of "entities".`,
    )
  }
}
