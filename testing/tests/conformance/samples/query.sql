select '{{ params.city }}'
