// Ways from Orthanc Explorer 1 to the page of inventories; in the JavaScript and the jQuery that it has itself.
(function () {
  'use strict';

  var PAGE = '../inventories/app/';
  var INVENTORY_STORAGE = '1.2.840.10008.5.1.4.1.1.201.1';

  function button() {
    return $('<a>')
      .attr({href: PAGE, 'data-role': 'button', 'data-icon': 'grid', 'data-theme': 'b', rel: 'external'})
      .addClass('inventory-button')
      .text('Inventory');
  }

  // Before jQuery Mobile gives the page its looks, which then includes the button.
  $(document).bind('pagebeforecreate', function (event) {
    if (event.target.id === 'lookup') {
      $('#lookup-form').append(button());
    } else if (event.target.id === 'find-studies') {
      $('#all-studies').before(button());
    }
  });

  // A page is shown for one instance after the other, and its answers may come late.
  var shown = '';

  $(document).bind('pagebeforeshow', function (event) {
    $('#instance-inventory').remove();
    shown = event.target.id === 'instance' && $.mobile.pageData ? $.mobile.pageData.uuid : '';
    if (!shown) {
      return;
    }
    var instance = shown;
    $.ajax({url: '../instances/' + instance + '/metadata/SopClassUid', dataType: 'text'}).done(function (sopClass) {
      if (sopClass !== INVENTORY_STORAGE) {
        return;
      }
      $.getJSON('../instances/' + instance, function (described) {
        if (instance !== shown) {
          return;
        }
        var link = $('<a>')
          .attr({href: PAGE + '#/inventories/' + encodeURIComponent(described.MainDicomTags.SOPInstanceUID), rel: 'external'})
          .text('Summary of this inventory');
        $('#instance-access')
          .append($('<li data-icon="grid">').attr('id', 'instance-inventory').append(link))
          .listview('refresh');
      });
    });
  });
})();
