// Owns which Patient compartment a resource is in (R4 CompartmentDefinition/patient).
// It does not decide access.
import type { Resource } from '../model/resource.ts';
import { compartmentPlaces, type Place } from './parameters.ts';
import { valuesAt } from './places.ts';
import { parseReference } from './reference.ts';

/**
 * Id of the Patient that the resource is about; null when the type is not in the compartment, when
 * it names no Patient by a local reference, or when it names several different ones. The subject
 * counts before a performer or an author who is a patient as well.
 */
export function patientCompartment(resource: Resource): string | null {
  if (resource.resourceType === 'Patient') return resource.id ?? null;
  for (const place of placesOf(resource.resourceType)) {
    const ids = new Set<string>();
    for (const value of valuesAt(resource, place)) {
      const text = (value as { reference?: unknown }).reference;
      const target = typeof text === 'string' ? parseReference(text) : null;
      if (target?.type === 'Patient' && target.base === '') ids.add(target.id);
    }
    const [id] = ids;
    if (ids.size > 1) return null;
    if (id !== undefined) return id;
  }
  return null;
}

/** True when resources of that type can be in a patient's compartment at all. */
export function isCompartmentType(type: string): boolean {
  return type === 'Patient' || placesOf(type).length > 0;
}

const PLACES = new Map<string, Place[]>();

function placesOf(type: string): Place[] {
  const known = PLACES.get(type);
  if (known) return known;
  const places = compartmentPlaces(type);
  PLACES.set(type, places);
  return places;
}
