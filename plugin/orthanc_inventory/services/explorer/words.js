// Values in the words of people.

const NUMBER = new Intl.NumberFormat('en');
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

export function number(value) {
  return NUMBER.format(value);
}

export function counted(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function size(bytes) {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) {
    value /= 1000;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : number(Math.round(value))} ${UNITS[unit]}`;
}

export function percent(part) {
  return `${(100 * part).toFixed(part > 0.999 && part < 1 ? 3 : 1).replace(/\.0+$/, '')} %`;
}

// A DICOM date.
export function date(text) {
  return text && text.replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3');
}

// Date and time as DICOM writes them.
export function dateTime(day, time) {
  return [date(day), time && time.replace(/^(\d\d)(\d\d).*$/, '$1:$2')].filter(Boolean).join(' ');
}

// A moment in UTC as Orthanc writes it, in the time of the reader.
export function moment(text) {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(text ?? '');
  if (!parts) {
    return text ?? '';
  }
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number);
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second)).toLocaleString('sv', {
    dateStyle: 'short',
    timeStyle: 'short',
  });
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  if (whole < 1) {
    return 'less than a second';
  }
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  }
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

// A name of a person, its parts and its ways of writing parted by what people part them by.
export function person(name) {
  return name
    .split('=')
    .map((group) => group.replace(/\^+/g, ' ').trim())
    .filter(Boolean)
    .join(' · ');
}

export function level(name) {
  return {STUDY: 'Studies', SERIES: 'Series', INSTANCE: 'Instances'}[name] ?? name;
}

export function inventoryName({ContentDate, ContentTime, InventoryPurpose}) {
  return [dateTime(ContentDate, ContentTime) || 'Without a date', InventoryPurpose].filter(Boolean).join(' – ');
}

const SCOPE = {
  PatientID: 'patient ID',
  PatientName: 'patient name',
  StudyDate: 'study date',
  ModalitiesInStudy: 'modality',
  StudyDescription: 'description',
  AccessionNumber: 'accession number',
  StudyInstanceUID: 'study',
};

// Which archive an inventory is of, if it is not that of this Orthanc.
export function sourceInWords(source) {
  if (!source) {
    return null;
  }
  return source.Modality ? `Of the modality ${source.Modality}` : `Of the DICOMweb server ${source.DicomWeb}`;
}

export function scopeInWords(scope) {
  if (scope?.ScopeOfInventorySequence) {
    return 'What its Scope of Inventory Sequence says';
  }
  const parts = Object.entries(scope ?? {}).map(([keyword, value]) => `${SCOPE[keyword] ?? keyword} ${wanted(keyword, value)}`);
  return parts.length ? parts.join('; ') : 'The whole archive';
}

function wanted(keyword, value) {
  if (typeof value !== 'string') {
    return JSON.stringify(value);
  }
  const range = /^(\d{8})?-(\d{8})?$/.exec(value);
  if (range) {
    return [range[1] && `from ${date(range[1])}`, range[2] && `until ${date(range[2])}`].filter(Boolean).join(' ');
  }
  return value
    .split('\\')
    .map((one) => (keyword.endsWith('Date') ? date(one) : one))
    .join(' or ');
}

// What an object of the DICOM JSON Model (PS3.18 F) says under a tag; several values are parted by commas.
export function value(record, tag) {
  return (record[tag]?.Value ?? [])
    .map((one) => {
      if (typeof one === 'object' && one !== null) {
        return person(['Alphabetic', 'Ideographic', 'Phonetic'].map((group) => one[group] ?? '').join('='));
      }
      return String(one);
    })
    .join(', ');
}
