// Owns the structural check: element table -> draft-07 JSON schema -> ajv, one type at a time and
// only when a value of that type is met. What a JSON schema cannot say is overlay.ts.
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { DataValidationCxt } from 'ajv/dist/types/index.js';
import { type ElementInfo, elementsOf, isResourceType } from './elements.ts';

type Schema = Record<string, unknown>;

interface TypeCheck {
  (data: unknown, context?: DataValidationCxt): boolean;
  errors?: Partial<ErrorObject>[];
}

/**
 * Structural faults of a value of a FHIR type (`Patient`), as ajv reports them; null = none.
 * The type must be known. `extent`: `all` faults, or only the `first` where data is so large that
 * the faults themselves could fill the memory.
 */
export function checkStructure(
  type: string,
  data: unknown,
  extent: 'all' | 'first' = 'all',
): Partial<ErrorObject>[] | null {
  const engine = ENGINES.get(extent) ?? newEngine(extent === 'all');
  ENGINES.set(extent, engine);
  const validate = engine(type);
  return validate(data) ? null : (validate.errors ?? []);
}

/** Compiles the validator of a type at its first use. */
type Engine = (type: string) => ValidateFunction;

const ENGINES = new Map<'all' | 'first', Engine>();

/**
 * Instead of `$ref`, the keyword `fhirType` enters another type's validator, compiled when it is
 * first met: Extension alone would otherwise drag in every data type at the first Patient.
 */
function newEngine(allErrors: boolean): Engine {
  const compiled = new Map<string, ValidateFunction>();
  const ajv = new Ajv({ allErrors, strict: true, meta: false, validateSchema: false });
  const engine: Engine = (type) => {
    let validate = compiled.get(type);
    if (validate === undefined) {
      validate = ajv.compile(schemaOf(type));
      compiled.set(type, validate);
    }
    return validate;
  };
  ajv.addKeyword({
    keyword: 'fhirType',
    schemaType: 'string',
    errors: 'full',
    compile: (type: string) => (type === 'Resource' ? anyResource(engine) : oneType(engine, type)),
  });
  return engine;
}

function oneType(engine: Engine, type: string): TypeCheck {
  let validate: ValidateFunction | undefined;
  const check: TypeCheck = (data, context) => {
    validate ??= engine(type);
    if (validate(data, context)) return true;
    // A nested check of the same type overwrites validate.errors, so they are taken at once.
    check.errors = validate.errors ?? [];
    return false;
  };
  return check;
}

function anyResource(engine: Engine): TypeCheck {
  const check: TypeCheck = (data, context) => {
    const type = (data as { resourceType?: unknown } | null)?.resourceType;
    if (typeof type !== 'string' || !isResourceType(type)) {
      check.errors = [{ keyword: 'resourceType', instancePath: context?.instancePath ?? '' }];
      return false;
    }
    const validate = engine(type);
    if (validate(data, context)) return true;
    check.errors = validate.errors ?? [];
    return false;
  };
  return check;
}

/** The JSON schema (draft-07, plus `fhirType`) of a type of the element table. */
export function schemaOf(type: string): Schema {
  const properties: Record<string, Schema> = {};
  if (isResourceType(type)) properties.resourceType = { const: type };
  for (const element of elementsOf(type)) {
    properties[element.key] = propertyOf(element);
    if (element.type.kind === 'primitive' && element.key !== 'id') {
      properties[`_${element.key}`] = companionOf(element);
    }
  }
  return { type: 'object', properties, additionalProperties: false };
}

function propertyOf(element: ElementInfo): Schema {
  const isPrimitive = element.type.kind === 'primitive';
  const value = isPrimitive ? primitiveOf(element) : { fhirType: element.type.name };
  if (!element.many) return value;
  // A null stands where a repeated primitive has only extensions; the overlay checks its partner.
  const items = isPrimitive ? { ...value, nullable: true } : value;
  return { type: 'array', items: 'enum' in items ? withNull(items) : items };
}

function withNull(items: Schema): Schema {
  return { ...items, enum: [...(items.enum as unknown[]), null] };
}

function companionOf(element: ElementInfo): Schema {
  const one = { fhirType: 'Element' };
  if (!element.many) return one;
  return { type: 'array', items: { anyOf: [{ type: 'null' }, { type: 'object', ...one }] } };
}

const INT32_MAX = 2_147_483_647;

/** Dates, and whatever only needs a look at the text, are the overlay's. */
function primitiveOf(element: ElementInfo): Schema {
  switch (element.type.name) {
    case 'boolean':
      return { type: 'boolean' };
    case 'decimal':
      return { type: 'number' };
    case 'integer':
      return { type: 'integer', minimum: -INT32_MAX - 1, maximum: INT32_MAX };
    case 'positiveInt':
      return { type: 'integer', minimum: 1, maximum: INT32_MAX };
    case 'unsignedInt':
      return { type: 'integer', minimum: 0, maximum: INT32_MAX };
    default:
      return element.codes ? { type: 'string', enum: [...element.codes] } : { type: 'string' };
  }
}
